//! participants.yaml: the services that perform commands.

mod read;

use super::diagnostic::Diagnostic;
use crate::policy::RetryRule;
use saga_guards::breaker;
use std::{collections::BTreeMap, fmt, num::NonZeroU32, time::Duration};

/// All participants, by the name that definitions use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Participants {
    by_name: BTreeMap<String, Participant>,
}

/// A service that performs commands.
#[derive(Clone, Debug, PartialEq)]
pub struct Participant {
    /// `description:`
    pub description: Option<String>,
    /// How it is reached.
    pub transport: Transport,
    /// One attempt, from leaving the guard to the answer.
    pub timeout: Duration,
    /// Opening a connection.
    pub connect_timeout: Duration,
    /// Of steps that say nothing, and whose saga says nothing; `None`: `standard`, after the pivot for ever.
    pub retry: Option<RetryRule>,
    /// When calls are refused.
    pub breaker: breaker::Config,
    /// Most calls under way at once.
    pub bulkhead: NonZeroU32,
    /// Statuses that count as failed and may be retried.
    pub retry_on: Vec<Status>,
    /// Statuses that count as failed for good.
    pub fail_on: Vec<Status>,
    /// Largest answer that is read.
    pub max_answer_bytes: u32,
    /// Headers of every request.
    pub headers: BTreeMap<String, Secret>,
    /// The `Authorization` header of every request.
    pub authorization: Option<Secret>,
}

/// How a participant is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Transport {
    /// Command and reply.
    Kafka {
        /// Topic of its commands.
        commands: String,
    },
    /// One request per command.
    Http {
        /// At least one.
        endpoints: Vec<Endpoint>,
    },
}

/// One instance of an HTTP participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Base of all paths, without a slash at its end.
    pub url: String,
    /// Its share of the calls, relative to the others.
    pub weight: NonZeroU32,
}

/// A status, or a class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `409`
    Exactly(u16),
    /// `5xx`: its first digit.
    Class(u16),
}

impl Status {
    /// Whether `status` is meant.
    #[must_use]
    pub fn matches(self, status: u16) -> bool {
        match self {
            Status::Exactly(exact) => status == exact,
            Status::Class(class) => status / 100 == class,
        }
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the request that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Attempt timeout of HTTP participants that say nothing.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempt timeout of Kafka participants that say nothing, and of published events.
pub const KAFKA_TIMEOUT: Duration = Duration::from_secs(30);
/// Connect timeout of participants that say nothing.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Calls over HTTP under way at once, of participants that say nothing.
pub const BULKHEAD: NonZeroU32 = NonZeroU32::new(64).expect("64 is not zero");
/// The same over Kafka, where the topic is a queue already and a command is under way until its reply: enough that 10 ms a command
/// allow 100,000 a second, few enough that a participant which is down is not sent everything there is.
pub const KAFKA_BULKHEAD: NonZeroU32 = NonZeroU32::new(1024).expect("1024 is not zero");
/// Largest answer, of participants that say nothing.
pub const MAX_ANSWER_BYTES: u32 = 1024 * 1024;

impl Participants {
    /// The participant called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Participant> {
        self.by_name.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// All participants, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Participant)> {
        self.by_name.iter().map(|(name, participant)| (name.as_str(), participant))
    }
}

/// Reads participants.yaml. `env` answers for `${ env.NAME }`.
///
/// # Errors
/// Every finding of the file, warnings included, if one of them is an error.
pub fn parse(
    file_name: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Participants, Vec<Diagnostic>> {
    read::read(file_name, text, env)
}
