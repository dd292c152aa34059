//! What is measured, from the rows of the database, the engine's metrics and the broker.

use super::{
    Phase,
    shop::{Kind, Shop, now},
};
use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, EngineApi, http_client},
    eventually::eventually,
};
use sqlx::{PgPool, Row, postgres::PgRow};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

const CALLS: &str = "resilience4j_circuitbreaker_calls_seconds_count";

/// Looks at the end of each phase.
pub(super) struct Observer {
    pool: PgPool,
    api: EngineApi,
    /// Of the phase under way, in milliseconds since 1970.
    began: i64,
    calls: Calls,
    phases: Vec<PhaseFigures>,
}

/// Calls to the bad participant that left the engine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    pub(super) all: u64,
    pub(super) failed: u64,
}

/// One phase.
#[derive(Clone, Debug)]
pub(super) struct PhaseFigures {
    pub(super) phase: Phase,
    /// In milliseconds since 1970.
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) calls: Calls,
    /// Sagas that wait at its end, by `guard:participant`.
    pub(super) waiting: BTreeMap<String, usize>,
    /// Rows in the journal of each saga that waits at its end.
    pub(super) rows: HashMap<String, i64>,
}

/// One saga at the end of the run.
#[derive(Clone, Debug)]
pub(super) struct Saga {
    pub(super) kind: Kind,
    pub(super) phase: Phase,
    /// `None`: there is no such saga.
    pub(super) status: Option<String>,
    /// From the trigger to the last change, in milliseconds.
    pub(super) took: i64,
    pub(super) ended_at: i64,
}

/// Everything.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) phases: Vec<PhaseFigures>,
    pub(super) sagas: Vec<Saga>,
    pub(super) strangers: usize,
    pub(super) dead_letters: i64,
    pub(super) trip_effects: usize,
}

impl Observer {
    pub(super) async fn new(shop: &Shop, engine: &Engine) -> Result<Observer> {
        let pool = shop.world.database.pool().await?;
        Ok(Observer { pool, api: engine.api().clone(), began: now()?, calls: Calls::default(), phases: Vec::new() })
    }

    pub(super) async fn ends(&mut self, phase: Phase) -> Result<()> {
        let (to, calls) = (now()?, self.calls().await?);
        let (waiting, rows) = (self.waiting().await?, self.rows().await?);
        let made = Calls { all: calls.all - self.calls.all, failed: calls.failed - self.calls.failed };
        self.phases.push(PhaseFigures { phase, from: self.began, to, calls: made, waiting, rows });
        (self.began, self.calls) = (to, calls);
        Ok(())
    }

    async fn calls(&self) -> Result<Calls> {
        let url = format!("{}/metrics", self.api.base());
        let text = http_client()?.get(url).send().await?.text().await?;
        let of = |kind: &str| -> u64 {
            let name = format!("{CALLS}{{name=\"payments\",kind=\"{kind}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
        };
        let failed = of("failed");
        Ok(Calls { all: of("successful") + failed, failed })
    }

    async fn waiting(&self) -> Result<BTreeMap<String, usize>> {
        let on: Vec<String> = sqlx::query_scalar("SELECT unnest(waits_on) FROM streams").fetch_all(&self.pool).await?;
        let mut waiting = BTreeMap::new();
        for guard in on {
            *waiting.entry(guard).or_default() += 1;
        }
        Ok(waiting)
    }

    async fn rows(&self) -> Result<HashMap<String, i64>> {
        let query = "SELECT s.stream::text AS id, count(*) AS rows FROM streams s JOIN journal j USING (stream)
                     WHERE s.waits_on IS NOT NULL GROUP BY s.stream";
        let of = |row: &PgRow| Ok((row.try_get("id")?, row.try_get("rows")?));
        sqlx::query(query).fetch_all(&self.pool).await?.iter().map(of).collect()
    }

    /// Returns when no saga waits on a guard.
    pub(super) async fn nobody_waits(&self, within: Duration) -> Result<()> {
        eventually("nobody waits", within, || async {
            let waiting = self.waiting().await?;
            ensure!(waiting.is_empty(), "{waiting:?}");
            Ok(Some(()))
        })
        .await
    }

    /// `Some` when no saga is open and there are as many as `count`.
    pub(super) async fn all_ended(&self, count: usize) -> Result<Option<()>> {
        let row = sqlx::query("SELECT count(*) AS sagas, count(*) FILTER (WHERE open) AS open FROM streams")
            .fetch_one(&self.pool)
            .await?;
        let (sagas, open): (i64, i64) = (row.try_get("sagas")?, row.try_get("open")?);
        ensure!(usize::try_from(sagas)? >= count && open == 0, "{sagas} sagas of {count}, {open} are open");
        Ok(Some(()))
    }

    pub(super) async fn figures(self, shop: &Shop) -> Result<Figures> {
        let mut found = HashMap::new();
        for row in sqlx::query("SELECT key, status, updated_at FROM streams").fetch_all(&self.pool).await? {
            let saga: (String, i64) = (row.try_get("status")?, row.try_get("updated_at")?);
            found.insert(row.try_get::<String, _>("key")?, saga);
        }
        let mut sagas = Vec::with_capacity(shop.placed().len());
        for placed in shop.placed() {
            let (status, at) = found.remove(&placed.key).unzip();
            let ended_at = at.unwrap_or_default();
            sagas.push(Saga { kind: placed.kind, phase: placed.phase, status, took: ended_at - placed.at, ended_at });
        }
        let dead_letters =
            shop.world.kafka.count(shop.world.installation.dlq()).await.context("counting dead letters")?;
        let trip_effects = shop.travel.participant().ledger().effects().len();
        Ok(Figures { phases: self.phases, sagas, strangers: found.len(), dead_letters, trip_effects })
    }
}

impl Figures {
    /// From the trigger to the end, of those of `kind` that were placed in `phase`: the share `share` took at most so
    /// many milliseconds.
    pub(super) fn quantile(&self, kind: Kind, phase: Phase, share: f64) -> i64 {
        let of_these = |saga: &&Saga| saga.kind == kind && saga.phase == phase;
        let mut took: Vec<i64> = self.sagas.iter().filter(of_these).map(|saga| saga.took).collect();
        took.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "thousands"
        )]
        let place = (took.len() as f64 * share) as usize;
        took.get(place.min(took.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// The median of `kind` in `phase`, by that of the calm phases before and after.
    pub(super) fn slowdown(&self, kind: Kind, phase: Phase) -> f64 {
        let median = |phase| {
            let median = i32::try_from(self.quantile(kind, phase, 0.5)).unwrap_or(i32::MAX);
            f64::from(median)
        };
        median(phase) / ((median(Phase::Calm) + median(Phase::CalmAgain)) / 2.0)
    }

    pub(super) fn phase(&self, phase: Phase) -> Option<&PhaseFigures> {
        self.phases.iter().find(|figures| figures.phase == phase)
    }
}
