//! The store on Postgres 13 or newer.

mod attendance;
mod batch;
mod bounds;
mod comparing;
mod known;
mod left;
mod outlives;
mod pool;
mod pooler;
mod schema;
mod session;
mod statements;
mod witness;

pub use bounds::Bounds;

use crate::{
    Access, Activity, Append, Appended, Attendance, Attended, Confirmed, Dimension, Epoch, Error, EventStore, Filter,
    Flagged, Identity, Mark, Marked, NewNote, Note, NoteNumber, Portion, Row, Sessions, Standing, StepBack,
    StreamSummary, Sweep, Swept, Tally, WaitsOn,
    attendance::check_attended,
    backend::{Ask, Reader},
    config::without_secret,
    limits::{check_batch, check_claim, check_streams, check_texts},
    mark::check_mark,
    matching,
    note::check_note,
    portion::{Budget, in_order},
    reads, rows,
    sweep::check_sweep,
};
use async_trait::async_trait;
use batch::{PgQuery, bind_batch, read_answer};
use pool::Pool;
use sqlx::{
    Row as _,
    postgres::{PgConnectOptions, PgRow},
};
use std::{str::FromStr, sync::Arc};
use tokio::sync::watch;
use uuid::Uuid;
use witness::Witness;

/// A store on Postgres.
///
/// Except for the migration, every call is one statement and therefore one transaction, in a task that nothing cancels.
/// A call ends within [`Bounds`] even if the server or the network does not answer.
#[derive(Debug)]
pub struct Postgres {
    pool: Pool,
    identity: Identity,
    access: Access,
    witness: Arc<Witness>,
}

impl Postgres {
    /// Opens the store; see [`crate::open`].
    ///
    /// # Errors
    /// As [`crate::open`].
    pub async fn open(address: &str, access: Access) -> Result<Postgres, Error> {
        Postgres::open_within(address, access, Bounds::default()).await
    }

    /// As [`Postgres::open`], with other bounds than the default.
    ///
    /// # Errors
    /// As [`crate::open`].
    pub async fn open_within(address: &str, access: Access, bounds: Bounds) -> Result<Postgres, Error> {
        let options = PgConnectOptions::from_str(address).map_err(|_| Error::Address(without_secret(address)))?;
        let witness = Arc::new(Witness::new(Uuid::new_v4()));
        let pool = Pool::new(options, access, bounds, Arc::clone(&witness));
        let identity = match access {
            Access::Write { shards } => {
                let server = pooler::refuse_shared_sessions(&pool).await?;
                if let Some(warning) = server.durability.warning() {
                    tracing::warn!("{warning}");
                }
                let identity = schema::prepare(&pool, shards).await?;
                witness.begin(identity.installation, server.timeline);
                identity
            }
            Access::Read => schema::look(&pool).await?,
        };
        schema::check_privileges(&pool, access).await?;
        Ok(Postgres { pool, identity, access, witness })
    }

    /// Splits `streams` into the first ones that have at most `max_bytes` together and the others. The statement
    /// `sizes` measures them.
    async fn reached(
        &self,
        sizes: &'static str,
        streams: &[Uuid],
        max_bytes: u64,
    ) -> Result<(Vec<Uuid>, Vec<Uuid>), Error> {
        let mut reached = in_order(streams);
        let sizes = self.pool.rows(sqlx::query(sizes).bind(reached.clone())).await?;
        let mut budget = Budget::of(max_bytes);
        let mut left = Vec::new();
        for size in &sizes {
            if !budget.takes(size.try_get("bytes")?) {
                let next: Uuid = size.try_get("stream")?;
                left = reached.split_off(reached.partition_point(|stream| *stream < next));
                break;
            }
        }
        Ok((reached, left))
    }
}

#[async_trait]
impl EventStore for Postgres {
    fn identity(&self) -> Identity {
        self.identity
    }

    async fn claim(&self, shard: u16, owner: &str) -> Result<Epoch, Error> {
        self.access.check_writable()?;
        check_claim(shard, self.identity.shards, owner)?;
        let query = sqlx::query(include_str!("postgres/sql/claim.sql"))
            .bind(i32::from(shard))
            .bind(owner)
            .bind(self.witness.highest(shard).0);
        let epoch = Epoch(self.pool.row(query).await?.try_get("epoch")?);
        self.witness.claimed(shard, epoch, owner);
        Ok(epoch)
    }

    async fn attend(&self, all: &[Attended]) -> Result<(), Error> {
        self.access.check_writable()?;
        check_attended(all)?;
        attendance::attend(&self.pool, all).await
    }

    async fn attendance(&self, shard: u16) -> Result<Attendance, Error> {
        reads::attendance(&self.pool, shard).await
    }

    async fn clock_ms(&self) -> Result<i64, Error> {
        reads::clock_ms(&self.pool).await
    }

    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>, Error> {
        self.access.check_writable()?;
        check_batch(batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let fenced = self.witness.fenced(batch);
        let rows = self.pool.rows(bind_batch(fenced.as_deref().unwrap_or(batch))).await?;
        let mut answers = vec![Appended::Committed; batch.len()];
        for row in &rows {
            let (position, answer) = read_answer(row)?;
            if let Some(slot) = answers.get_mut(position) {
                *slot = answer;
            }
        }
        self.witness.appended(batch, &answers);
        Ok(answers)
    }

    async fn mark(&self, mark: &Mark) -> Result<Marked, Error> {
        self.access.check_writable()?;
        check_mark(mark)?;
        let query = sqlx::query(include_str!("postgres/sql/mark.sql"))
            .bind(i32::from(mark.shard))
            .bind(mark.epoch.0)
            .bind(mark.stream)
            .bind(&mark.status)
            .bind(&mark.reason)
            .bind(mark.at_ms)
            .bind(&mark.code);
        let row = self.pool.row(query).await?;
        Ok(if row.try_get("held")? { Marked::Shown } else { Marked::Fenced })
    }

    async fn read(&self, stream: Uuid) -> Result<Vec<Row>, Error> {
        Ask::new(include_str!("postgres/sql/read.sql")).with(stream).all(&self.pool, rows::row).await
    }

    async fn read_many(&self, streams: &[Uuid]) -> Result<Vec<(Uuid, Row)>, Error> {
        check_streams(streams)?;
        let query = sqlx::query(include_str!("postgres/sql/read_many.sql")).bind(streams);
        self.pool.rows(query).await?.iter().map(row_of_stream).collect()
    }

    async fn read_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<Portion, Error> {
        check_streams(streams)?;
        let (reached, left) = self.reached(include_str!("postgres/sql/sizes.sql"), streams, max_bytes).await?;
        Ok(Portion { rows: self.read_many(&reached).await?, left })
    }

    async fn outlines_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<Portion, Error> {
        check_streams(streams)?;
        let (reached, left) = self.reached(include_str!("postgres/sql/outline_sizes.sql"), streams, max_bytes).await?;
        let query = sqlx::query(include_str!("postgres/sql/outlines.sql")).bind(reached);
        let rows = self.pool.rows(query).await?.iter().map(row_of_stream).collect::<Result<_, _>>()?;
        Ok(Portion { rows, left })
    }

    async fn open_streams(&self, shard: u16, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, Error> {
        reads::open_streams(&self.pool, shard, after, limit).await
    }

    async fn last_version(&self, stream: Uuid) -> Result<Option<u32>, Error> {
        reads::last_version(&self.pool, stream).await
    }

    async fn summary(&self, stream: Uuid) -> Result<Option<StreamSummary>, Error> {
        reads::summary(&self.pool, stream).await
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<StreamSummary>, Error> {
        matching::list(&self.pool, filter).await
    }

    async fn tally(&self, filter: &Filter, by: &[Dimension]) -> Result<Vec<Tally>, Error> {
        matching::tally(&self.pool, filter, by).await
    }

    async fn counts(&self) -> Result<Vec<(String, String, i64)>, Error> {
        reads::counts(&self.pool).await
    }

    async fn waiting_counts(&self) -> Result<Vec<(WaitsOn, i64)>, Error> {
        reads::waiting_counts(&self.pool).await
    }

    async fn standing(&self) -> Result<Vec<Standing>, Error> {
        reads::standing(&self.pool).await
    }

    async fn flagged(&self) -> Result<Vec<Flagged>, Error> {
        reads::flagged(&self.pool).await
    }

    fn sessions(&self) -> Sessions {
        self.pool.sessions()
    }

    async fn forget_keys(&self, sweep: &Sweep) -> Result<Swept, Error> {
        self.access.check_writable()?;
        let limit = check_sweep(sweep)?;
        let query = sqlx::query(include_str!("postgres/sql/forget_keys.sql"))
            .bind(&sweep.category)
            // No key is empty.
            .bind(sweep.after.as_deref().unwrap_or_default())
            .bind(sweep.ended_before_ms)
            .bind(i64::from(limit));
        let row = self.pool.row(query).await?;
        let forgotten: i64 = row.try_get("forgotten")?;
        Ok(Swept::page(forgotten.unsigned_abs(), row.try_get("looked_at")?, row.try_get("last_key")?, limit))
    }

    async fn put_document(&self, kind: &str, hash: &str, body: &str) -> Result<(), Error> {
        self.access.check_writable()?;
        check_texts([kind, hash, body])?;
        let query = sqlx::query(include_str!("sql/put_document.sql")).bind(kind).bind(hash).bind(body);
        self.pool.rows(query).await?;
        Ok(())
    }

    async fn get_document(&self, kind: &str, hash: &str) -> Result<Option<String>, Error> {
        reads::document(&self.pool, kind, hash).await
    }

    async fn add_note(&self, note: &NewNote) -> Result<NoteNumber, Error> {
        self.access.check_writable()?;
        check_note(note)?;
        let query = sqlx::query(include_str!("postgres/sql/add_note.sql"))
            .bind(note.topic.clone())
            .bind(note.id)
            .bind(note.at_ms)
            .bind(note.body.clone());
        Ok(NoteNumber(self.pool.row(query).await?.try_get("number")?))
    }

    async fn notes(&self, topic: &str, after: NoteNumber, limit: u32) -> Result<Vec<Note>, Error> {
        reads::notes(&self.pool, topic, after, limit).await
    }

    async fn heartbeat(&self, owner: &str, at_ms: i64) -> Result<(), Error> {
        self.access.check_writable()?;
        check_texts([owner])?;
        let query = sqlx::query(include_str!("postgres/sql/heartbeat.sql")).bind(self.witness.writer());
        let before = self.witness.before_beat();
        let row = self.pool.row(query.bind(owner).bind(at_ms)).await?;
        self.witness.beat(before, row.try_get("number")?, at_ms);
        Ok(())
    }

    fn steps_back(&self) -> watch::Receiver<Option<Arc<StepBack>>> {
        self.witness.told()
    }

    fn confirmed(&self) -> Option<Confirmed> {
        self.witness.confirmed()
    }

    async fn compare(&self, all: &[Confirmed]) -> Result<Vec<usize>, Error> {
        self.access.check_writable()?;
        let has = comparing::what_is_there(&self.pool, all).await?;
        Ok(self.witness.compared(all, &has))
    }

    async fn activity(&self) -> Result<Activity, Error> {
        let row = self.pool.row(sqlx::query(include_str!("postgres/sql/activity.sql"))).await?;
        Ok(Activity { commits: row.try_get("commits")?, wal_bytes: row.try_get("wal_bytes")? })
    }
}

fn row_of_stream(row: &PgRow) -> Result<(Uuid, Row), Error> {
    Ok((row.try_get("stream")?, rows::row(row)?))
}

impl Reader for Pool {
    type Db = sqlx::Postgres;

    fn rows(&self, statement: PgQuery) -> impl Future<Output = Result<Vec<PgRow>, Error>> + Send {
        Pool::rows(self, statement)
    }
}
