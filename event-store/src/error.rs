//! What can go wrong between a caller and the database.

/// The store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer, or not in time. Of an append it is not known whether it was committed: repeat the same bytes.
    #[error("the database did not answer: {0}")]
    Unavailable(String),
    /// The database takes no writes: it is a standby, or was demoted. That passes when it is promoted, or another server answers in its
    /// place; of an append it is as unknown whether it was committed as with [`StoreError::Unavailable`].
    #[error("the database takes no writes: {0}")]
    ReadOnly(String),
    /// The database does not let the store work: wrong credentials, a database or privilege that is gone, a broken disk. Somebody has to
    /// mend that; what was asked is not at fault, and of an append it is as unknown whether it was committed as with [`StoreError::Unavailable`].
    #[error("the database cannot be used: {0}")]
    Unusable(String),
    /// What is stored is damaged: a page, a value or an index cannot be read. Somebody has to mend that; other rows can be read and written.
    #[error("the database holds damaged data: {0}")]
    Damaged(String),
    /// The database refuses what was asked for what it is, and so will refuse it again: a value out of range, bytes that are no text, a
    /// constraint, too large for an index.
    #[error("the database refuses: {0}")]
    Refused(String),
    /// The request breaks a limit of the store; nothing was sent.
    #[error("{0}")]
    Limit(String),
    /// The schema is not one that this build can work with.
    #[error("{0}")]
    Schema(String),
    /// The store was created for another number of shards.
    #[error(
        "the store was created with {stored} shards, the configuration says {configured}: set `shards: {stored}`, or use another store"
    )]
    Shards {
        /// In the store.
        stored: u16,
        /// In the configuration.
        configured: u16,
    },
    /// Another engine has the file.
    #[error("{path} is in use by another engine ({holder}); stop it, or use Postgres to run several")]
    Locked {
        /// The file.
        path: String,
        /// What the lock file says of who has it.
        holder: String,
    },
    /// The address is not one of a store.
    #[error(
        "`{0}` is not the address of a store: expected `postgres://user:password@host:port/database` or `sqlite:./file.db`"
    )]
    Address(String),
}

impl StoreError {
    /// Whether the same call may succeed later: the fault is the database's or the way's to it, not that of what was asked. An engine that
    /// runs waits for it, however long somebody takes to mend it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            StoreError::Unavailable(_) | StoreError::ReadOnly(_) | StoreError::Unusable(_) => true,
            StoreError::Damaged(_)
            | StoreError::Refused(_)
            | StoreError::Limit(_)
            | StoreError::Schema(_)
            | StoreError::Shards { .. }
            | StoreError::Locked { .. }
            | StoreError::Address(_) => false,
        }
    }

    /// Whether the same call may succeed later without anybody's doing. An engine that starts waits for nothing else: a password that is
    /// wrong is better said at once.
    #[must_use]
    pub fn is_worth_waiting_at_start(&self) -> bool {
        match self {
            StoreError::Unavailable(_) | StoreError::ReadOnly(_) => true,
            StoreError::Unusable(_)
            | StoreError::Damaged(_)
            | StoreError::Refused(_)
            | StoreError::Limit(_)
            | StoreError::Schema(_)
            | StoreError::Shards { .. }
            | StoreError::Locked { .. }
            | StoreError::Address(_) => false,
        }
    }

    /// Whether what was asked for is there and cannot be read, or written beside what is broken: waiting does not mend it, and only who needs
    /// exactly this is concerned.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, StoreError::Damaged(_))
    }

    /// The same error, which says where it happened. `place` has no secrets.
    #[must_use]
    pub(crate) fn at(self, place: &str) -> StoreError {
        match self {
            StoreError::Unavailable(text) => StoreError::Unavailable(format!("{place}: {text}")),
            StoreError::ReadOnly(text) => StoreError::ReadOnly(format!("{place}: {text}")),
            StoreError::Unusable(text) => StoreError::Unusable(format!("{place}: {text}")),
            StoreError::Damaged(text) => StoreError::Damaged(format!("{place}: {text}")),
            StoreError::Refused(text) => StoreError::Refused(format!("{place}: {text}")),
            other @ (StoreError::Limit(_)
            | StoreError::Schema(_)
            | StoreError::Shards { .. }
            | StoreError::Locked { .. }
            | StoreError::Address(_)) => other,
        }
    }
}

/// What Postgres says of a write in a read-only transaction.
const READ_ONLY: &str = "25006";

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        let text = error.to_string();
        match &error {
            sqlx::Error::Database(database) if database.code().as_deref() == Some(READ_ONLY) => {
                StoreError::ReadOnly(text)
            }
            sqlx::Error::Database(database) => match fault(database.code().as_deref().unwrap_or_default()) {
                DatabaseFault::Request => StoreError::Refused(text),
                DatabaseFault::Passing => StoreError::Unavailable(text),
                DatabaseFault::Lasting if is_damage(&text) => StoreError::Damaged(text),
                DatabaseFault::Lasting => StoreError::Unusable(text),
                DatabaseFault::Damage => StoreError::Damaged(text),
            },
            sqlx::Error::Encode(_) => StoreError::Refused(text),
            // The database and this build have different ideas of a statement or its answer.
            sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::Configuration(_)
            | sqlx::Error::InvalidArgument(_)
            | sqlx::Error::TypeNotFound { .. }
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::RowNotFound => StoreError::Unusable(text),
            sqlx::Error::PoolTimedOut => StoreError::Unavailable(
                "no connection could be had in time: it is away, or all connections are in use".into(),
            ),
            // Everything else is the connection's or the pool's doing.
            _ => StoreError::Unavailable(text),
        }
    }
}

/// Whose an error of a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DatabaseFault {
    /// What was asked.
    Request,
    /// The database's, and it goes away by itself.
    Passing,
    /// What is stored: a row, a page or an index that cannot be read.
    Damage,
    /// The database's or its operators', and somebody has to mend it. What is not known counts as this: to wait for what does not come is
    /// seen and can be mended, to give up a row that nothing is wrong with cannot.
    Lasting,
}

/// A code of Postgres has five characters, one of SQLite is a number below 10,000.
fn fault(code: &str) -> DatabaseFault {
    match code.parse() {
        Ok(number) if code.len() < 5 => fault_of_sqlite(number),
        Ok(_) | Err(_) => fault_of_postgres(code),
    }
}

/// The request's own: data exceptions (22), constraints (23), limits of the program (54). Passing: connection (08), rollback (40),
/// resources (53), lock not available (55P03), operator intervention and timeouts (57), system errors (58), read-only transaction on a
/// server that is being switched (25006), plans that a migration made stale (0A000).
fn fault_of_postgres(code: &str) -> DatabaseFault {
    match (code, code.get(..2).filter(|_| code.len() == 5)) {
        // Keys and versions are what writers compete for: a repeat finds who has them.
        ("23505", _) => DatabaseFault::Passing,
        ("55P03" | "25006" | "0A000", _) | (_, Some("08" | "40" | "53" | "57" | "58")) => DatabaseFault::Passing,
        (_, Some("22" | "23" | "54")) => DatabaseFault::Request,
        ("XX001" | "XX002", _) => DatabaseFault::Damage,
        (_, Some(_) | None) => DatabaseFault::Lasting,
    }
}

/// What Postgres says of damaged values under the code of any internal error; these texts are never translated.
fn is_damage(text: &str) -> bool {
    const SAYS: [&str; 4] = [
        "missing chunk number",
        "unexpected chunk number",
        "unexpected chunk size",
        "invalid memory alloc request size",
    ];
    SAYS.iter().any(|says| text.contains(says))
}

/// The low byte of a code is the error, the rest says more of it.
fn fault_of_sqlite(code: u16) -> DatabaseFault {
    const BUSY: u16 = 5;
    const LOCKED: u16 = 6;
    const FULL: u16 = 13;
    const TOO_BIG: u16 = 18;
    const CONSTRAINT: u16 = 19;
    const CONSTRAINT_PRIMARY_KEY: u16 = 1555;
    const CONSTRAINT_UNIQUE: u16 = 2067;
    const MISMATCH: u16 = 20;
    match (code, code & 0xff) {
        (CONSTRAINT_PRIMARY_KEY | CONSTRAINT_UNIQUE, _) | (_, BUSY | LOCKED | FULL) => DatabaseFault::Passing,
        (_, TOO_BIG | CONSTRAINT | MISMATCH) => DatabaseFault::Request,
        (_, _) => DatabaseFault::Lasting,
    }
}

#[cfg(test)]
mod tests {
    use super::{DatabaseFault, StoreError, fault, is_damage};

    fn all(codes: &[&str], expected: DatabaseFault) {
        for code in codes {
            assert_eq!(fault(code), expected, "{code}");
        }
    }

    #[test]
    fn what_goes_away_by_itself_passes() {
        all(&["08006", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "57P03"], DatabaseFault::Passing);
        all(&["58030", "25006", "0A000", "23505"], DatabaseFault::Passing);
        all(&["5", "6", "13", "261", "517", "1555", "2067"], DatabaseFault::Passing);
    }

    #[test]
    fn only_a_row_can_be_at_fault_for_good() {
        // Bytes that are no text, out of range, not null, a check, too large for an index.
        all(&["22021", "22003", "23502", "23514", "54000"], DatabaseFault::Request);
        all(&["18", "19", "275", "1299", "3091", "20"], DatabaseFault::Request);
    }

    #[test]
    fn what_somebody_has_to_mend_lasts() {
        // Password, who may connect, a privilege, no such database or table or function, syntax, what nobody knows, an index that is broken.
        all(&["28P01", "28000", "42501", "3D000", "42P01", "42883", "42601", "XX000", "P0001"], DatabaseFault::Lasting);
        // A disk that cannot be read or written, a file that is no database, that may not be written, that is broken or gone.
        all(&["10", "778", "26", "8", "11", "14", "", "53", "2", "22"], DatabaseFault::Lasting);
    }

    #[test]
    fn damaged_data_is_told_apart() {
        all(&["XX001", "XX002"], DatabaseFault::Damage);
        assert!(is_damage("missing chunk number 0 for toast value 16424 in pg_toast_16385"));
        let damaged = StoreError::Damaged("invalid page in block 7".into());
        assert!(damaged.is_damage() && !damaged.is_transient() && !damaged.is_worth_waiting_at_start());
    }

    #[test]
    fn a_start_waits_only_for_what_comes_by_itself() {
        let (away, denied) = (StoreError::Unavailable("no route".into()), StoreError::Unusable("no such role".into()));
        assert!(away.is_transient() && away.is_worth_waiting_at_start());
        assert!(denied.is_transient() && !denied.is_worth_waiting_at_start());
        let refused = StoreError::Refused("out of range".into());
        assert!(!refused.is_transient() && !refused.is_worth_waiting_at_start());
    }
}
