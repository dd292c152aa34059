//! Which part of what this process knows a server still has.

use super::{known::PostgresWitnessState, session::PostgresSession};
use crate::{StepBack, StoreError};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

/// The answer of a session's server.
#[derive(Debug)]
pub(super) struct ServerComparison {
    pub(super) installation: Option<Uuid>,
    missing_claims: Vec<u16>,
    /// Positions in [`PostgresWitnessState::appends`], from 1.
    missing_appends: Vec<usize>,
    beat: Option<(i64, i64)>,
}

impl ServerComparison {
    pub(super) fn read(row: &PgRow) -> Result<ServerComparison, StoreError> {
        let claims: Option<Vec<i32>> = row.try_get("missing_claims")?;
        let appends: Option<Vec<i32>> = row.try_get("missing_appends")?;
        let beat: Option<i64> = row.try_get("beat")?;
        Ok(ServerComparison {
            installation: row.try_get("installation")?,
            missing_claims: claims.unwrap_or_default().into_iter().filter_map(|it| u16::try_from(it).ok()).collect(),
            missing_appends: appends
                .unwrap_or_default()
                .into_iter()
                .filter_map(|it| usize::try_from(it).ok())
                .collect(),
            beat: beat.zip(row.try_get("beat_at")?),
        })
    }

    pub(super) fn lacks(&self, known: &PostgresWitnessState) -> bool {
        let beat = self.beat.map_or(0, |(number, _)| number);
        let lacks_beat = known.beat.is_some_and(|(number, _)| beat < number);
        lacks_beat || !self.missing_claims.is_empty() || !self.missing_appends.is_empty()
    }

    pub(super) fn step_back(&self, known: &PostgresWitnessState, timeline: Option<i64>) -> StepBack {
        let is_there = |position: &usize| !self.missing_appends.contains(&(position + 1));
        let kept = known
            .appends
            .iter()
            .enumerate()
            .filter(|(position, _)| is_there(position))
            .map(|(_, mark)| mark.append.at_ms);
        StepBack {
            number: known.steps + 1,
            kept_until_ms: kept.chain(self.beat.map(|(_, at_ms)| at_ms)).max(),
            lost_until_ms: known.last_written_ms(),
            missing_appends: self.missing_appends.len(),
            missing_claims: self.missing_claims.clone(),
            timelines: known.timeline.zip(timeline),
        }
    }
}

pub(super) async fn what_is_left(
    session: &mut PostgresSession,
    known: &PostgresWitnessState,
    writer: Uuid,
) -> Result<PgRow, sqlx::Error> {
    let claims = || known.claims.iter();
    let appends = || known.appends.iter().map(|mark| mark.append);
    sqlx::query(include_str!("sql/what_is_left.sql"))
        .bind(claims().map(|(shard, _)| i32::from(*shard)).collect::<Vec<_>>())
        .bind(claims().map(|(_, (epoch, _))| epoch.0).collect::<Vec<_>>())
        .bind(claims().map(|(_, (_, owner))| owner.clone()).collect::<Vec<_>>())
        .bind(appends().map(|append| append.stream).collect::<Vec<_>>())
        .bind(appends().map(|append| append.version).collect::<Vec<_>>())
        .bind(appends().map(|append| append.append_id).collect::<Vec<_>>())
        .bind(writer)
        .fetch_one(&mut session.connection)
        .await
}

/// The timeline of the server's log; `None`: this kind of server does not report it.
pub(super) async fn timeline(session: &mut PostgresSession) -> Result<Option<i64>, StoreError> {
    match sqlx::query(include_str!("sql/timeline.sql")).fetch_one(&mut session.connection).await {
        Ok(row) => Ok(Some(row.try_get("timeline")?)),
        Err(sqlx::Error::Database(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
