//! One session with a server: opened, set, and found to be what the store relies on.

use crate::{StoreAccess, StoreError};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _, postgres::PgConnectOptions, postgres::PgRow};
use std::time::Instant;

/// A server process, and not another one that has its number later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BackendProcess {
    pub(super) pid: i32,
    pub(super) started: String,
}

/// A session that may be used.
#[derive(Debug)]
pub(super) struct PostgresSession {
    pub(super) connection: PgConnection,
    pub(super) backend: BackendProcess,
    pub(super) opened: Instant,
    /// When it was last known to be the same session, and to live.
    pub(super) tested: Instant,
    /// Which sessions it was opened with; see [`super::pool`].
    pub(super) generation: u64,
    pub(super) durability: ServerDurability,
}

/// What the server does to keep a commit that it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerDurability {
    fsync: bool,
    full_page_writes: bool,
}

/// How sessions are opened, without what depends on the server's version: that is set afterwards.
pub(super) fn options(address: PgConnectOptions) -> PgConnectOptions {
    // Poolers refuse startup parameters that they do not know, and nothing here needs this one.
    address.application_name("saga").extra_float_digits(None)
}

impl PostgresSession {
    /// Opens a session, sets what the store relies on, and reads it back.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when the server takes no writes and `access` needs them; [`StoreError::Unusable`] when the session cannot be what the
    /// store relies on.
    pub(super) async fn open(
        options: &PgConnectOptions,
        access: StoreAccess,
        generation: u64,
    ) -> Result<PostgresSession, StoreError> {
        let opened = Instant::now();
        let mut connection = options.connect().await?;
        // The simple protocol: a prepared statement may belong to another session where a pooler changes them under way.
        sqlx::raw_sql(include_str!("sql/session_settings.sql")).execute(&mut connection).await?;
        wish(&mut connection).await?;
        if access == StoreAccess::Read {
            sqlx::raw_sql("SET default_transaction_read_only = on").execute(&mut connection).await?;
        }
        let state = sqlx::raw_sql(include_str!("sql/session_state.sql")).fetch_one(&mut connection).await?;
        check(&state, access)?;
        Ok(PostgresSession {
            connection,
            backend: BackendProcess { pid: state.try_get("pid")?, started: state.try_get("started")? },
            opened,
            tested: Instant::now(),
            generation,
            durability: ServerDurability {
                fsync: is_on(&state, "fsync")?,
                full_page_writes: is_on(&state, "full_page_writes")?,
            },
        })
    }

    /// Whether it lives and is still the session that was set.
    ///
    /// # Errors
    /// When it does not answer; [`StoreError::Unusable`] when another server process answers in its place.
    pub(super) async fn test(&mut self) -> Result<(), StoreError> {
        let pid = self.pid().await?;
        if pid != self.backend.pid {
            return Err(changed_under_way());
        }
        self.tested = Instant::now();
        Ok(())
    }

    /// Which server process answers now.
    pub(super) async fn pid(&mut self) -> Result<i32, sqlx::Error> {
        sqlx::raw_sql("SELECT pg_backend_pid() AS pid").fetch_one(&mut self.connection).await?.try_get("pid")
    }

    /// Runs a statement that has no parameters and no answer.
    pub(super) async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut self.connection).await.map(drop)
    }
}

impl ServerDurability {
    /// What an operator should know; `None`: the server keeps what it says.
    pub(super) fn warning(&self) -> Option<&'static str> {
        match (self.fsync, self.full_page_writes) {
            (true, true) => None,
            (false, _) => Some(
                "`fsync` is off: a crash of the server's machine loses sagas that were answered for, or the whole database",
            ),
            (true, false) => {
                Some("`full_page_writes` is off: a crash of the server's machine can leave the database unreadable")
            }
        }
    }
}

/// Sets what is good to have and not to be had everywhere.
async fn wish(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    match sqlx::raw_sql(include_str!("sql/session_wish.sql")).execute(connection).await {
        Ok(_) | Err(sqlx::Error::Database(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// That sessions are shared out by the transaction, for people.
pub(super) fn changed_under_way() -> StoreError {
    StoreError::Unusable(
        "the statements of one session reach several sessions of the server: a pooler in transaction or statement mode stands between. \
         Settings on which the fence relies do not hold there: let the pooler work in session mode, or go past it"
            .into(),
    )
}

fn check(state: &PgRow, access: StoreAccess) -> Result<(), StoreError> {
    let text = |name: &str| state.try_get::<String, _>(name);
    let encoding = text("encoding")?;
    if encoding != "UTF8" {
        return Err(StoreError::Unusable(format!(
            "the database's encoding is {encoding}, which cannot keep every text: create one with `ENCODING 'UTF8' TEMPLATE template0`"
        )));
    }
    require("client_encoding", &text("client_encoding")?, &["UTF8"])?;
    match access {
        StoreAccess::Read => Ok(()),
        StoreAccess::Write { .. } => check_writer(state),
    }
}

fn check_writer(state: &PgRow) -> Result<(), StoreError> {
    if state.try_get("is_standby")? {
        return Err(StoreError::ReadOnly("the server is a standby: it takes no writes until it is promoted".into()));
    }
    if is_on(state, "read_only")? {
        return Err(StoreError::ReadOnly(
            "sessions with the server are read-only (`default_transaction_read_only` is on)".into(),
        ));
    }
    require("transaction_isolation", &state.try_get::<String, _>("isolation")?, &["read committed"])?;
    require("synchronous_commit", &state.try_get::<String, _>("synchronous_commit")?, &["on", "remote_apply"])
}

fn require(setting: &str, is: &str, wanted: &[&str]) -> Result<(), StoreError> {
    if wanted.contains(&is) {
        return Ok(());
    }
    Err(StoreError::Unusable(format!(
        "`{setting}` is `{is}` although the session set it, expected `{}`: a pooler, or what stands in for the server, does not keep the settings of a session",
        wanted.join("` or `")
    )))
}

fn is_on(state: &PgRow, setting: &str) -> Result<bool, sqlx::Error> {
    Ok(state.try_get::<String, _>(setting)? == "on")
}
