//! What is configured about a participant and its guards.

use crate::overrides;
use crate::transport::{
    ErrorClassifier,
    http::{self, HttpSettings},
};
use saga_core::definition::participants::{self, AuthorizationConfig, ParticipantConfig, SecretText};
use saga_guards::{breaker, budget, rate::CallRate};
use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

/// One participant and its guards.
#[derive(Clone, Debug)]
pub struct ParticipantSettings {
    /// Its name in definitions.
    pub name: String,
    /// How the engine reaches the participant: HTTP or Kafka.
    pub transport: TransportSettings,
    /// Settings of the breaker and the other guards.
    pub gate: GateSettings,
    /// The health check; `None`: the participant has none.
    pub health: Option<participants::HealthCheckConfig>,
    /// Capabilities that participants.yaml lists for it.
    pub capabilities: BTreeSet<String>,
    /// Maximum time of one attempt.
    pub timeout: Duration,
    /// Participants that it needs itself.
    pub depends_on: Vec<String>,
}

/// How the guards of a participant work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateSettings {
    /// When it is left alone.
    pub breaker: breaker::BreakerConfig,
    /// How much further attempts may add to its load.
    pub budget: budget::RetryBudgetConfig,
    /// How many calls are under way at once.
    pub bulkhead: participants::BulkheadConfig,
    /// How many calls leave in a span.
    pub rate: Option<CallRate>,
    /// Working at a share of the capacity.
    pub degraded: participants::DegradationConfig,
}

impl GateSettings {
    /// The defaults, with so many calls at once.
    #[must_use]
    pub fn of_limit(places: NonZeroU32) -> GateSettings {
        GateSettings {
            breaker: breaker::BreakerConfig::default(),
            budget: budget::RetryBudgetConfig::default(),
            bulkhead: participants::BulkheadConfig::of(places),
            rate: None,
            degraded: participants::DegradationConfig::default(),
        }
    }
}

/// What operators have set, in place of what participants.yaml says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ManualOverride {
    /// Whether the breaker decides by itself, and if not, what it does.
    pub mode: breaker::BreakerMode,
    /// The share of its capacity that it works at.
    pub share: Option<f64>,
    /// Maximum number of concurrent calls; `None`: that of participants.yaml.
    pub bulkhead: Option<NonZeroU32>,
    /// Maximum rate of calls; `None`: that of participants.yaml.
    pub rate: Option<CallRate>,
    /// How often it was reset: another number than before resets it.
    pub resets: u64,
}

impl From<&overrides::OverrideState> for ManualOverride {
    fn from(given: &overrides::OverrideState) -> ManualOverride {
        ManualOverride {
            mode: given.mode,
            share: given.share,
            bulkhead: given.bulkhead,
            rate: given.rate.map(|rate| rate.rate()),
            resets: given.resets,
        }
    }
}

impl Default for ManualOverride {
    fn default() -> ManualOverride {
        ManualOverride { mode: breaker::BreakerMode::Automatic, share: None, bulkhead: None, rate: None, resets: 0 }
    }
}

/// How a participant is reached.
// One for each participant, read once.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq)]
pub enum TransportSettings {
    /// The engine sends HTTP requests to its endpoints.
    Http(HttpSettings),
    /// The engine writes its commands as records to a topic.
    Kafka {
        /// The topic that takes its commands.
        commands: String,
    },
}

impl ParticipantSettings {
    /// The settings that participants.yaml gives to the participant called `name`.
    #[must_use]
    pub fn of(name: &str, participant: &ParticipantConfig) -> ParticipantSettings {
        ParticipantSettings {
            name: name.to_owned(),
            transport: TransportSettings::of(name, participant),
            gate: GateSettings::of(participant),
            health: participant.health.clone(),
            capabilities: participant.capabilities.clone(),
            timeout: participant.timeout,
            depends_on: participant.depends_on.clone(),
        }
    }
}

impl TransportSettings {
    fn of(name: &str, participant: &ParticipantConfig) -> TransportSettings {
        match &participant.transport {
            participants::TransportConfig::Kafka { commands } => {
                TransportSettings::Kafka { commands: commands.clone() }
            }
            participants::TransportConfig::Http { endpoints, balance, ejection } => {
                TransportSettings::Http(HttpSettings {
                    name: name.to_owned(),
                    endpoints: endpoints.clone(),
                    balance: *balance,
                    ejection: *ejection,
                    connect_timeout: participant.connect_timeout,
                    idle_timeout: participant.idle_timeout,
                    connection_max_age: participant.connection_max_age,
                    read_timeout: participant.read_timeout,
                    write_timeout: participant.write_timeout,
                    max_answer_bytes: usize::try_from(participant.max_answer_bytes).unwrap_or(usize::MAX),
                    authorization: match &participant.authorization {
                        Some(AuthorizationConfig::Header(secret)) => Some(secret.reveal().to_owned()),
                        Some(AuthorizationConfig::ClientCredentials(_)) | None => None,
                    },
                    client_credentials: match &participant.authorization {
                        Some(AuthorizationConfig::ClientCredentials(client)) => Some(client.clone()),
                        Some(AuthorizationConfig::Header(_)) | None => None,
                    },
                    tls: participant.tls.clone(),
                    headers: participant.headers.iter().map(revealed).collect(),
                    retry_on: participant.retry_on.clone(),
                    fail_on: participant.fail_on.clone(),
                    accepted: participant.accepted,
                    idempotency_key: participant.idempotency_key,
                    classes: ErrorClassifier::of(participant),
                })
            }
        }
    }
}

impl GateSettings {
    fn of(participant: &ParticipantConfig) -> GateSettings {
        GateSettings {
            breaker: participant.breaker,
            budget: participant.retry_budget,
            bulkhead: participant.bulkhead,
            rate: participant.rate_limit,
            degraded: participant.degraded,
        }
    }
}

fn revealed((name, value): (&String, &SecretText)) -> (String, String) {
    (name.clone(), value.reveal().to_owned())
}

/// Participants that cannot be guarded.
#[derive(Debug, thiserror::Error)]
pub enum ParticipantSettingsError {
    /// Two participants have the same name.
    #[error("participant `{0}` is configured twice")]
    Duplicate(String),
    /// One that cannot be called.
    #[error(transparent)]
    Http(#[from] http::HttpSettingsError),
}
