//! What can go wrong between a caller and the database.

mod fault;

/// The store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer, or not in time. Of an append it is not known whether it was committed: repeat the same bytes.
    #[error("the database did not answer: {0}")]
    Unavailable(String),
    /// The database takes no writes: it is a standby, or was demoted. That passes when it is promoted, or another server answers in its
    /// place; of an append it is as unknown whether it was committed as with [`Error::Unavailable`].
    #[error("the database takes no writes: {0}")]
    ReadOnly(String),
    /// The database does not let the store work: wrong credentials, a database or privilege that is gone, a broken disk. Somebody has to
    /// mend that; what was asked is not at fault, and of an append it is as unknown whether it was committed as with [`Error::Unavailable`].
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

impl Error {
    /// Whether the same call may succeed later: the fault is the database's or the way's to it, not that of what was asked. An engine that
    /// runs waits for it, however long somebody takes to mend it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.ends(), Ends::ByItself | Ends::ByAnOperator)
    }

    /// Whether the same call may succeed later without anybody's doing. An engine that starts waits for nothing else: a password that is
    /// wrong is better said at once.
    #[must_use]
    pub fn is_worth_waiting_at_start(&self) -> bool {
        self.ends() == Ends::ByItself
    }

    fn ends(&self) -> Ends {
        match self {
            Error::Unavailable(_) | Error::ReadOnly(_) => Ends::ByItself,
            Error::Unusable(_) => Ends::ByAnOperator,
            Error::Damaged(_)
            | Error::Refused(_)
            | Error::Limit(_)
            | Error::Schema(_)
            | Error::Shards { .. }
            | Error::Locked { .. }
            | Error::Address(_) => Ends::Never,
        }
    }

    /// Whether what was asked for is there and cannot be read, or written beside what is broken: waiting does not mend it, and only who needs
    /// exactly this is concerned.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Error::Damaged(_))
    }

    /// The same error, which says where it happened. `place` has no secrets.
    #[must_use]
    pub(crate) fn at(self, place: &str) -> Error {
        match self {
            Error::Unavailable(text) => Error::Unavailable(format!("{place}: {text}")),
            Error::ReadOnly(text) => Error::ReadOnly(format!("{place}: {text}")),
            Error::Unusable(text) => Error::Unusable(format!("{place}: {text}")),
            Error::Damaged(text) => Error::Damaged(format!("{place}: {text}")),
            Error::Refused(text) => Error::Refused(format!("{place}: {text}")),
            other @ (Error::Limit(_)
            | Error::Schema(_)
            | Error::Shards { .. }
            | Error::Locked { .. }
            | Error::Address(_)) => other,
        }
    }
}

/// What has to happen before the same call can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    ByItself,
    ByAnOperator,
    /// The call itself, the store or what is stored has to be another one.
    Never,
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn a_start_waits_only_for_what_comes_by_itself() {
        let (away, denied) = (Error::Unavailable("no route".into()), Error::Unusable("no such role".into()));
        assert!(away.is_transient() && away.is_worth_waiting_at_start());
        assert!(denied.is_transient() && !denied.is_worth_waiting_at_start());
        let refused = Error::Refused("out of range".into());
        assert!(!refused.is_transient() && !refused.is_worth_waiting_at_start());
    }

    #[test]
    fn damage_is_not_waited_for() {
        let damaged = Error::Damaged("invalid page in block 7".into());
        assert!(damaged.is_damage() && !damaged.is_transient() && !damaged.is_worth_waiting_at_start());
    }
}
