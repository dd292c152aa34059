//! One session with a server. The store applies its settings and reads them back.

use crate::{StoreAccess, StoreError};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _, postgres::PgConnectOptions, postgres::PgRow};
use std::time::Instant;

/// A server process. The start time distinguishes it from a later process with the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BackendProcess {
    pub(super) pid: i32,
    pub(super) started: String,
}

/// A session whose settings were checked.
#[derive(Debug)]
pub(super) struct PostgresSession {
    pub(super) connection: PgConnection,
    pub(super) backend: BackendProcess,
    pub(super) opened: Instant,
    /// When a test last found the same server process.
    pub(super) tested: Instant,
    /// The generation of the pool in which it was opened.
    pub(super) generation: u64,
    pub(super) durability: ServerDurability,
}

/// Settings of the server that decide whether a confirmed commit survives a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerDurability {
    fsync: bool,
    full_page_writes: bool,
}

/// Options for opening sessions. Settings that depend on the version of the server are applied afterwards.
pub(super) fn options(address: PgConnectOptions) -> PgConnectOptions {
    // PgBouncer refuses startup parameters that it does not know. The store does not need this one.
    address.application_name("saga").extra_float_digits(None)
}

impl PostgresSession {
    /// Opens a session, applies the settings that the store needs, and reads them back.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when `access` needs writes and the server takes none. [`StoreError::Unusable`] when a
    /// setting does not hold.
    pub(super) async fn open(
        options: &PgConnectOptions,
        access: StoreAccess,
        generation: u64,
    ) -> Result<PostgresSession, StoreError> {
        let opened = Instant::now();
        let mut connection = options.connect().await?;
        // The simple protocol: behind a pooler that changes sessions, a prepared statement may belong to another
        // session.
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

    /// Tests that the same server process still answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the session does not answer. [`StoreError::Unusable`] when another server
    /// process answers.
    pub(super) async fn test(&mut self) -> Result<(), StoreError> {
        let pid = self.pid().await?;
        if pid != self.backend.pid {
            return Err(changed_under_way());
        }
        self.tested = Instant::now();
        Ok(())
    }

    /// The number of the server process that answers now.
    pub(super) async fn pid(&mut self) -> Result<i32, sqlx::Error> {
        sqlx::raw_sql("SELECT pg_backend_pid() AS pid").fetch_one(&mut self.connection).await?.try_get("pid")
    }

    /// Runs a statement without parameters and without rows.
    pub(super) async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut self.connection).await.map(drop)
    }
}

impl ServerDurability {
    /// A warning for the operator; `None`: confirmed commits survive a crash.
    pub(super) fn warning(&self) -> Option<&'static str> {
        match (self.fsync, self.full_page_writes) {
            (true, true) => None,
            (false, _) => {
                Some("`fsync` is off: a crash of the server's machine can lose confirmed commits or the whole database")
            }
            (true, false) => {
                Some("`full_page_writes` is off: a crash of the server's machine can leave the database unreadable")
            }
        }
    }
}

/// Applies a setting that is useful but not available on every server.
async fn wish(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    match sqlx::raw_sql(include_str!("sql/session_wish.sql")).execute(connection).await {
        Ok(_) | Err(sqlx::Error::Database(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The error for a pooler that shares sessions between clients.
pub(super) fn changed_under_way() -> StoreError {
    StoreError::Unusable(
        "the statements of one session reach several sessions of the server: \
         a pooler in transaction or statement mode is in between. \
         The settings that fencing needs do not hold there: run the pooler in session mode, or connect without it"
            .into(),
    )
}

fn check(state: &PgRow, access: StoreAccess) -> Result<(), StoreError> {
    let text = |name: &str| state.try_get::<String, _>(name);
    let encoding = text("encoding")?;
    if encoding != "UTF8" {
        return Err(StoreError::Unusable(format!(
            "the database has the encoding {encoding}, which cannot store every text: \
             create a database with `ENCODING 'UTF8' TEMPLATE template0`"
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
        "`{setting}` is `{is}` although the session set it, expected `{}`: \
         a pooler or a replacement of the server does not keep the settings of a session",
        wanted.join("` or `")
    )))
}

fn is_on(state: &PgRow, setting: &str) -> Result<bool, sqlx::Error> {
    Ok(state.try_get::<String, _>(setting)? == "on")
}
