//! What is configured about a participant and its guards.

use crate::participants::{
    Classes,
    http::{self, HttpSettings},
};
use saga_core::definition::participants::{self, Participant, Secret};
use saga_guards::breaker;
use std::{collections::BTreeSet, num::NonZeroU32};

/// One participant and its guards.
#[derive(Clone, Debug)]
pub struct ParticipantSettings {
    /// Its name in definitions.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// When it is left alone.
    pub breaker: breaker::Config,
    /// Calls that may be under way at once.
    pub bulkhead: NonZeroU32,
    /// Asking it how it is.
    pub health: Option<participants::Health>,
    /// What it can do.
    pub capabilities: BTreeSet<String>,
}

/// How a participant is reached.
// One for each participant, read once.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
pub enum Transport {
    /// By requests.
    Http(HttpSettings),
    /// By records.
    Kafka {
        /// The topic that takes its commands.
        commands: String,
    },
}

impl ParticipantSettings {
    /// The settings that participants.yaml gives to the participant called `name`.
    #[must_use]
    pub fn of(name: &str, participant: &Participant) -> ParticipantSettings {
        let transport = match &participant.transport {
            participants::Transport::Kafka { commands } => Transport::Kafka { commands: commands.clone() },
            participants::Transport::Http { endpoints, balance, ejection } => Transport::Http(HttpSettings {
                name: name.to_owned(),
                endpoints: endpoints.clone(),
                balance: *balance,
                ejection: *ejection,
                connect_timeout: participant.connect_timeout,
                read_timeout: participant.read_timeout,
                write_timeout: participant.write_timeout,
                max_answer_bytes: usize::try_from(participant.max_answer_bytes).unwrap_or(usize::MAX),
                authorization: participant.authorization.as_ref().map(|secret| secret.reveal().to_owned()),
                headers: participant.headers.iter().map(revealed).collect(),
                retry_on: participant.retry_on.clone(),
                fail_on: participant.fail_on.clone(),
                classes: Classes::of(participant),
            }),
        };
        let (breaker, bulkhead) = (participant.breaker, participant.bulkhead.limit);
        ParticipantSettings {
            name: name.to_owned(),
            transport,
            breaker,
            bulkhead,
            health: participant.health.clone(),
            capabilities: participant.capabilities.clone(),
        }
    }
}

fn revealed((name, value): (&String, &Secret)) -> (String, String) {
    (name.clone(), value.reveal().to_owned())
}

/// Participants that cannot be guarded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two of one name.
    #[error("participant `{0}` is configured twice")]
    Duplicate(String),
    /// One that cannot be called.
    #[error(transparent)]
    Http(#[from] http::Error),
}
