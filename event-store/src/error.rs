//! Errors of a store.

mod fault;

/// Why the store did not do what the caller asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer, or not in time. The caller of an append does not know whether it was committed, and
    /// sends the same bytes again.
    #[error("the database did not answer: {0}")]
    Unavailable(String),
    /// The database takes no writes: it is a standby, or was demoted. This ends when an operator or a cluster manager
    /// promotes it, or when another server answers in its place. As with [`StoreError::Unavailable`], an append may be
    /// committed.
    #[error("the database takes no writes: {0}")]
    ReadOnly(String),
    /// The database does not let the store work: wrong credentials, a missing database or privilege, a broken disk. An
    /// operator has to repair that. The request is not at fault. As with [`StoreError::Unavailable`], an append may be
    /// committed.
    #[error("the database cannot be used: {0}")]
    Unusable(String),
    /// The database has a page, a value or an index that cannot be read. An operator has to repair that. The store
    /// reads and writes other rows.
    #[error("the database holds damaged data: {0}")]
    Damaged(String),
    /// The database refuses the request and will refuse it again: a value out of range, bytes that are not text, a
    /// constraint, an entry that is too large for an index.
    #[error("the database refuses: {0}")]
    Refused(String),
    /// The request breaks a limit of the store. The store sent nothing.
    #[error("{0}")]
    Limit(String),
    /// This build cannot work with the schema of the database. The text says what to do.
    #[error("{0}")]
    Schema(String),
    /// The store was created with another number of shards.
    #[error(
        "the store was created with {stored} shards, the configuration says {configured}: \
         set `shards: {stored}`, or use another store"
    )]
    Shards {
        /// The number of shards in the store.
        stored: u16,
        /// The number of shards in the configuration.
        configured: u16,
    },
    /// Another engine uses the SQLite file.
    #[error("{path} is in use by another engine ({holder}); stop it, or use Postgres to run several")]
    Locked {
        /// Path of the SQLite file that is in use.
        path: String,
        /// What the other engine wrote into the lock file: its process id.
        holder: String,
    },
    /// This process lacks a key-encryption key that the store needs. An operator has to configure it. As with
    /// [`StoreError::Unavailable`], an append may be committed.
    #[error("{0}")]
    Keys(String),
    /// The text is not the address of a store. It is shown without user and password.
    #[error(
        "`{0}` is not the address of a store: \
         expected `postgres://user:password@host:port/database` or `sqlite:./file.db`"
    )]
    Address(String),
}

impl StoreError {
    /// Whether the same call may succeed later, because the database or the network is at fault and not the request. An
    /// engine that runs waits until an operator has repaired it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.ends(), RetryCondition::ByItself | RetryCondition::ByAnOperator)
    }

    /// Whether the same call may succeed later without an operator. An engine that starts waits for nothing else: it
    /// reports a wrong password at once.
    #[must_use]
    pub fn is_worth_waiting_at_start(&self) -> bool {
        self.ends() == RetryCondition::ByItself
    }

    fn ends(&self) -> RetryCondition {
        match self {
            StoreError::Unavailable(_) | StoreError::ReadOnly(_) => RetryCondition::ByItself,
            StoreError::Unusable(_) | StoreError::Keys(_) => RetryCondition::ByAnOperator,
            StoreError::Damaged(_)
            | StoreError::Refused(_)
            | StoreError::Limit(_)
            | StoreError::Schema(_)
            | StoreError::Shards { .. }
            | StoreError::Locked { .. }
            | StoreError::Address(_) => RetryCondition::Never,
        }
    }

    /// Whether damaged data is in the way. Waiting does not repair it, and it concerns only requests that need exactly
    /// this data.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, StoreError::Damaged(_))
    }

    /// The same error with the place of the store in its text. `place` has no secrets.
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
            | StoreError::Keys(_)
            | StoreError::Address(_)) => other,
        }
    }
}

/// What has to happen before the same call can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RetryCondition {
    /// Time has to pass.
    ByItself,
    /// An operator has to repair the database or the way to it.
    ByAnOperator,
    /// The request, the configuration or the stored data has to change.
    Never,
}

#[cfg(test)]
mod tests {
    use super::StoreError;

    #[test]
    fn a_start_waits_only_for_what_comes_by_itself() {
        let (away, denied) = (StoreError::Unavailable("no route".into()), StoreError::Unusable("no such role".into()));
        assert!(away.is_transient() && away.is_worth_waiting_at_start());
        assert!(denied.is_transient() && !denied.is_worth_waiting_at_start());
        let refused = StoreError::Refused("out of range".into());
        assert!(!refused.is_transient() && !refused.is_worth_waiting_at_start());
    }

    #[test]
    fn damage_is_not_waited_for() {
        let damaged = StoreError::Damaged("invalid page in block 7".into());
        assert!(damaged.is_damage() && !damaged.is_transient() && !damaged.is_worth_waiting_at_start());
    }
}
