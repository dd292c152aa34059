//! Judges what happened from the rows of the database and the participants' ledgers alone.
//!
//! It shares no code with the engine: what it holds the engine to is written here once more, in other words.

use crate::{participant::EffectLedger, world::TestWorld};
use anyhow::{Result, ensure};
use sqlx::{PgPool, Row};
use std::collections::{BTreeMap, HashMap};

/// Steps that the general rules do not hold for.
#[derive(Clone, Copy, Debug, Default)]
pub struct OracleExemption<'a> {
    /// May be undone although the saga completed.
    pub optional: &'a [&'a str],
    /// Stay applied although the saga was compensated: `readOnly` and `irreversible`.
    pub lasting: &'a [&'a str],
}

/// One saga, as the read model has it.
#[derive(Clone, Debug)]
struct JudgedSaga {
    id: String,
    key: String,
    status: String,
}

/// Holds every saga of the world's database to the invariants:
///
/// - its versions are exactly 1 to n, and its key leads to it alone;
/// - completed: nothing that it applied was undone, optional steps aside;
/// - compensated: whatever was applied was undone once, after it was applied and after everything that was applied
///   later at the same participant.
///
/// # Errors
/// What was broken first, with the saga.
pub async fn judge(world: &TestWorld, exempt: OracleExemption<'_>) -> Result<()> {
    let pool = world.database.pool().await?;
    versions_are_gapless(&pool).await?;
    keys_are_single(&pool).await?;
    let ledgers = world.ledgers();
    let by_saga = ledgers.each_ref().map(effects_by_saga);
    for saga in sagas(&pool).await? {
        for effects in by_saga.iter().filter_map(|effects| effects.get(saga.id.as_str())) {
            judge_effects(&saga, effects, exempt)?;
        }
    }
    Ok(())
}

/// How many sagas have each status.
///
/// # Errors
/// When the database does not answer.
pub async fn count_by_status(world: &TestWorld) -> Result<BTreeMap<String, usize>> {
    let counts = "SELECT status, count(*) FROM streams GROUP BY status";
    let counts: Vec<(String, i64)> = sqlx::query_as(counts).fetch_all(&world.database.pool().await?).await?;
    counts.into_iter().map(|(status, count)| Ok((status, usize::try_from(count)?))).collect()
}

/// The status of each saga, by its key.
///
/// # Errors
/// When the database does not answer.
pub async fn statuses_by_key(world: &TestWorld) -> Result<BTreeMap<String, String>> {
    let sagas = sagas(&world.database.pool().await?).await?;
    Ok(sagas.into_iter().map(|saga| (saga.key, saga.status)).collect())
}

/// Holds what was told of ends, status by `ce_id`, to how the sagas of `category` ended. Nothing needs to be told of an
/// abandoned one.
///
/// # Errors
/// Names the first saga of which something else was told, or nothing.
pub async fn ends_were_told(world: &TestWorld, category: &str, told: &BTreeMap<String, String>) -> Result<()> {
    let ended =
        "SELECT stream::text, status FROM streams WHERE category = $1 AND status IN ('completed', 'compensated')";
    let pool = world.database.pool().await?;
    let ended: Vec<(String, String)> = sqlx::query_as(ended).bind(category).fetch_all(&pool).await?;
    for (id, status) in ended {
        let said = told.get(&format!("{id}:outcome"));
        ensure!(said == Some(&status), "saga {id} is {status}, and of its end was told {said:?}");
    }
    Ok(())
}

async fn versions_are_gapless(pool: &PgPool) -> Result<()> {
    let broken =
        "SELECT stream::text FROM journal GROUP BY stream HAVING min(version) <> 1 OR max(version) <> count(*)";
    let broken: Vec<String> = sqlx::query_scalar(broken).fetch_all(pool).await?;
    ensure!(broken.is_empty(), "the versions of these sagas have gaps: {broken:?}");
    let orphans = "SELECT stream::text FROM journal EXCEPT SELECT stream::text FROM streams";
    let orphans: Vec<String> = sqlx::query_scalar(orphans).fetch_all(pool).await?;
    ensure!(orphans.is_empty(), "no list shows these sagas: {orphans:?}");
    Ok(())
}

async fn keys_are_single(pool: &PgPool) -> Result<()> {
    let broken = "SELECT category || '/' || key FROM streams GROUP BY category, key HAVING count(*) > 1";
    let broken: Vec<String> = sqlx::query_scalar(broken).fetch_all(pool).await?;
    ensure!(broken.is_empty(), "these keys started more than one saga: {broken:?}");
    Ok(())
}

async fn sagas(pool: &PgPool) -> Result<Vec<JudgedSaga>> {
    let rows = sqlx::query("SELECT stream::text AS id, key, status FROM streams").fetch_all(pool).await?;
    let saga = |row: &sqlx::postgres::PgRow| -> Result<JudgedSaga> {
        Ok(JudgedSaga { id: row.try_get("id")?, key: row.try_get("key")?, status: row.try_get("status")? })
    };
    rows.iter().map(saga).collect()
}

impl std::fmt::Display for JudgedSaga {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "saga {} of key {}, which is {}", self.id, self.key, self.status)
    }
}

/// Effects as `step:do` and `step:undo` by the id of their saga, in their order.
fn effects_by_saga(ledger: &EffectLedger) -> HashMap<&str, Vec<&str>> {
    let mut by_saga: HashMap<_, Vec<_>> = HashMap::new();
    for (saga, effect) in ledger.effects().iter().filter_map(|effect| effect.command.split_once(':')) {
        by_saga.entry(saga).or_default().push(effect);
    }
    by_saga
}

fn judge_effects(saga: &JudgedSaga, effects: &[&str], exempt: OracleExemption<'_>) -> Result<()> {
    // What stands now, in the order in which it was applied.
    let mut standing: Vec<&str> = Vec::new();
    for effect in effects {
        match effect.rsplit_once(':') {
            Some((step, "do")) => standing.push(step),
            Some((step, "undo")) => {
                let is_optional = exempt.optional.contains(&step);
                ensure!(saga.status != "completed" || is_optional, "{saga}: {step} was undone: {effects:?}");
                let later = standing.iter().rposition(|standing| *standing == step);
                let Some(position) = later else {
                    anyhow::bail!("{saga}: {step} was undone without being applied: {effects:?}")
                };
                let lasting = |step: &&str| exempt.lasting.contains(step) || exempt.optional.contains(step);
                let in_order = is_optional || standing[position + 1..].iter().all(lasting);
                ensure!(in_order, "{saga}: {step} was undone before what came after it: {effects:?}");
                standing.remove(position);
            }
            _ => anyhow::bail!("{saga}: a command id that is none: {effect}"),
        }
    }
    standing.retain(|step| !exempt.lasting.contains(step));
    ensure!(saga.status != "compensated" || standing.is_empty(), "{saga}: {standing:?} stand");
    Ok(())
}
