//! participants.yaml: the services that perform commands.

mod critical_path;
mod kind;
mod read;
#[cfg(test)]
mod tests;

pub use critical_path::{CriticalPath, DependencyNode};

pub use super::terms::{AcceptedMeaning, IdempotencyKeyFormat, IntegrationKind};
pub(super) use read::own_headers;

use super::{
    diagnostic::CheckFinding,
    model::{CallTarget, ParticipantSelector, TransportKind},
};
use crate::policy::RetryRule;
use saga_guards::{
    adaptive,
    balancer::{BalancingStrategy, EjectionConfig},
    breaker, budget,
    class::ErrorClass,
    health,
    rate::CallRate,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroU32,
    time::Duration,
};

/// All participants, by the name that definitions use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParticipantCatalog {
    by_name: BTreeMap<String, ParticipantConfig>,
}

/// A service that performs commands.
#[derive(Clone, Debug, PartialEq)]
pub struct ParticipantConfig {
    /// `description:`
    pub description: Option<String>,
    /// How it is reached.
    pub transport: TransportConfig,
    /// One attempt, from leaving the guard to the answer.
    pub timeout: Duration,
    /// Opening a connection.
    pub connect_timeout: Duration,
    /// How long an idle connection is used again (HTTP).
    pub idle_timeout: Duration,
    /// How old a connection may be and is used again (HTTP).
    pub connection_max_age: Duration,
    /// Of steps that say nothing, and whose saga says nothing; `None`: `standard`, after the pivot for ever.
    pub retry: Option<RetryRule>,
    /// The kind of integration whose values it has where it says nothing.
    pub kind: Option<IntegrationKind>,
    /// Between two pieces of an answer, the first one included (HTTP); `None`: as long as the attempt.
    pub read_timeout: Option<Duration>,
    /// Until the request is written (HTTP); `None`: as long as the attempt.
    pub write_timeout: Option<Duration>,
    /// When calls are refused.
    pub breaker: breaker::BreakerConfig,
    /// How many calls are under way at once.
    pub bulkhead: BulkheadConfig,
    /// How many calls leave in a span; `None`: any number.
    pub rate_limit: Option<CallRate>,
    /// How much further attempts may add to its load.
    pub retry_budget: budget::RetryBudgetConfig,
    /// Working at a share of the capacity.
    pub degraded: DegradationConfig,
    /// Asking it how it is; `None`: it is not asked.
    pub health: Option<HealthCheckConfig>,
    /// What it can do, for steps that name a capability instead of a participant.
    pub capabilities: BTreeSet<String>,
    /// Participants that it needs itself.
    pub depends_on: Vec<String>,
    /// Failures that are of another class than they usually are.
    pub classes: Vec<(FailurePattern, ErrorClass)>,
    /// Classes that are handled in another way than they usually are.
    pub handling: BTreeMap<ErrorClass, FailureHandling>,
    /// Statuses that count as failed and may be retried.
    pub retry_on: Vec<StatusPattern>,
    /// Statuses that count as failed for good.
    pub fail_on: Vec<StatusPattern>,
    /// What a 202 says that names no place to ask.
    pub accepted: AcceptedMeaning,
    /// How the idempotency key of a request is written (HTTP).
    pub idempotency_key: IdempotencyKeyFormat,
    /// Largest answer that is read.
    pub max_answer_bytes: u32,
    /// Headers of every request.
    pub headers: BTreeMap<String, SecretText>,
    /// The `Authorization` header of every request.
    pub authorization: Option<SecretText>,
}

/// How a participant is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum TransportConfig {
    /// Command and reply.
    Kafka {
        /// Topic of its commands.
        commands: String,
    },
    /// One request per command.
    Http {
        /// At least one.
        endpoints: Vec<EndpointConfig>,
        /// How one of them is picked.
        balance: BalancingStrategy,
        /// When one of them is left out; `None`: never.
        ejection: Option<EjectionConfig>,
    },
}

impl TransportConfig {
    /// How commands travel.
    #[must_use]
    pub fn over(&self) -> TransportKind {
        match self {
            TransportConfig::Kafka { .. } => TransportKind::Kafka,
            TransportConfig::Http { .. } => TransportKind::Http,
        }
    }
}

/// How many calls are under way at once, and how many may wait for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkheadConfig {
    /// Places.
    pub limit: NonZeroU32,
    /// Calls that wait in memory for a place; `None`: 16 for each place.
    pub max_waiting: Option<u32>,
    /// How long one waits in memory before it is recorded as waiting; at most a second.
    pub max_wait: Duration,
    /// The limit moves within these bounds by how the participant answers; `None`: it stays.
    pub adaptive: Option<adaptive::AdaptiveLimitConfig>,
}

impl BulkheadConfig {
    /// `limit` places, the usual queue, no adaptation.
    #[must_use]
    pub const fn of(limit: NonZeroU32) -> BulkheadConfig {
        BulkheadConfig { limit, max_waiting: None, max_wait: BULKHEAD_WAIT, adaptive: None }
    }
}

/// Working at a share of the capacity while the rest waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DegradationConfig {
    /// Share of the places and of the rate, more than 0 and at most 1.
    pub share: f64,
    /// For so long after its breaker has tripped and closed again; `None`: only by hand.
    pub after_trip: Option<Duration>,
}

impl Default for DegradationConfig {
    fn default() -> DegradationConfig {
        DegradationConfig { share: 0.25, after_trip: None }
    }
}

/// Asking a participant how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheckConfig {
    /// How it is asked.
    pub check: HealthCheckMethod,
    /// How often, and what the answers are worth.
    pub config: health::HealthTrackerConfig,
}

/// How a participant is asked how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthCheckMethod {
    /// `GET` on this path of each endpoint; 2xx is well.
    Path(String),
    /// `GET` on this URL, for participants that take commands over Kafka; 2xx is well.
    Url(String),
    /// A connection to each endpoint.
    Connect,
}

/// Which failures are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailurePattern {
    /// Those with this status, or of this class of statuses.
    Status(StatusPattern),
    /// Those with this `error_code`.
    Code(String),
}

/// What becomes of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureHandling {
    /// It is tried again by policy.
    Retry,
    /// It is not tried again.
    Fail,
    /// It is tried again by policy, and then a person has to look at it.
    RetryThenPark,
}

/// One instance of an HTTP participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointConfig {
    /// Base of all paths, without a slash at its end.
    pub url: String,
    /// Its share of the calls, relative to the others.
    pub weight: NonZeroU32,
}

/// A status, or a class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusPattern {
    /// `409`
    Exactly(u16),
    /// `5xx`: its first digit.
    Class(u16),
}

impl StatusPattern {
    /// Whether `status` is meant.
    #[must_use]
    pub fn matches(self, status: u16) -> bool {
        match self {
            StatusPattern::Exactly(exact) => status == exact,
            StatusPattern::Class(class) => status / 100 == class,
        }
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The text itself, for the request that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
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
/// How long idle connections are used again, of participants that say nothing. Widespread servers close theirs after 5
/// s (Node, uvicorn, Apache); a request that meets a closing connection may have an unknown outcome.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// How old connections may be and are used again, of participants that say nothing: so long a name that points
/// elsewhere goes unnoticed.
pub const CONNECTION_MAX_AGE: Duration = Duration::from_secs(5 * 60);
/// Calls over HTTP under way at once, of participants that say nothing.
pub const BULKHEAD: NonZeroU32 = NonZeroU32::new(64).expect("64 is not zero");
/// The same over Kafka, where the topic is a queue already and a command is under way until its reply: enough that 10
/// ms a command allow 100,000 a second, few enough that a participant which is down is not sent everything there is.
pub const KAFKA_BULKHEAD: NonZeroU32 = NonZeroU32::new(1024).expect("1024 is not zero");
/// How long a call waits for a place in memory.
pub const BULKHEAD_WAIT: Duration = Duration::from_secs(1);
/// Largest answer, of participants that say nothing.
pub const MAX_ANSWER_BYTES: u32 = 1024 * 1024;

impl ParticipantCatalog {
    /// The participant called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ParticipantConfig> {
        self.by_name.get(name)
    }

    /// Those that have `capability` and are reached so, sorted by name.
    pub fn with_capability(
        &self,
        capability: &str,
        over: TransportKind,
    ) -> impl Iterator<Item = (&str, &ParticipantConfig)> {
        self.iter().filter(move |(_, it)| it.transport.over() == over && it.capabilities.contains(capability))
    }

    /// Those that may be asked to perform what goes to `target`: the one that is named, or all that have the
    /// capability.
    pub fn candidates(&self, target: &CallTarget) -> impl Iterator<Item = &ParticipantConfig> {
        let (named, capable) = match target.whom() {
            ParticipantSelector::Participant(name) => (self.get(name), None),
            ParticipantSelector::Capability(name) => (None, Some(self.with_capability(name, target.over()))),
        };
        named.into_iter().chain(capable.into_iter().flatten().map(|(_, participant)| participant))
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The same, where whoever is reached as its namesake ships is reached as the stand-in; one that is as it ships in
    /// all else is as the stand-in in all. And their names.
    #[must_use]
    pub fn with_stand_ins(
        mut self,
        StubParticipants { shipped, here }: &StubParticipants,
    ) -> (ParticipantCatalog, Vec<String>) {
        let mut names = Vec::new();
        for (name, participant) in &mut self.by_name {
            let (Some(original), Some(stand_in)) = (shipped.get(name), here.get(name)) else { continue };
            if participant == original {
                *participant = stand_in.clone();
            } else if participant.transport == original.transport {
                participant.transport = stand_in.transport.clone();
            } else {
                continue;
            }
            names.push(name.clone());
        }
        (self, names)
    }

    /// All participants, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ParticipantConfig)> {
        self.by_name.iter().map(|(name, participant)| (name.as_str(), participant))
    }
}

/// Participants that are played in this process: they stand in for those of a file that are reached as they ship.
#[derive(Clone, Debug)]
pub struct StubParticipants {
    /// As they ship.
    pub shipped: ParticipantCatalog,
    /// As they are reached here.
    pub here: ParticipantCatalog,
}

/// Reads participants.yaml. `env` answers for `${ env.NAME }`, asked for `NAME`, and for
/// `${ file.PATH }`, asked for `file.PATH`.
///
/// # Errors
/// Every finding of the file, warnings included, if one of them is an error.
pub fn parse(
    file_name: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<ParticipantCatalog, Vec<CheckFinding>> {
    read(file_name, text, env, MissingVariablePolicy::Refused).map(|read| read.participants)
}

/// What becomes of a variable that is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingVariablePolicy {
    /// It is an error.
    #[default]
    Refused,
    /// It is a warning: what it stands for is not checked. For who proves definitions without having the secrets.
    Allowed,
}

/// Participants that hold, and what somebody should look at.
#[derive(Clone, Debug)]
pub struct ParsedParticipants {
    /// The participants.
    pub participants: ParticipantCatalog,
    /// Findings that do not stop them.
    pub warnings: Vec<CheckFinding>,
}

/// The same as [`parse`], with its warnings; `missing` says what becomes of variables that are not set.
///
/// # Errors
/// As [`parse`].
pub fn read(
    file_name: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    missing: MissingVariablePolicy,
) -> Result<ParsedParticipants, Vec<CheckFinding>> {
    read::read(file_name, text, env, missing)
}
