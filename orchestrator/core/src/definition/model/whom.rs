//! Whom a call goes to.

use crate::{command::HttpMethod, expression::PathTemplate};
use std::fmt;

/// What a call asks for, and of whom.
#[derive(Clone, Debug)]
pub enum CallTarget {
    /// `participant.Command`
    Kafka {
        /// Who performs it.
        whom: ParticipantSelector,
        /// The command's type.
        command: String,
    },
    /// `METHOD participant/path`
    Http {
        /// Who performs it.
        whom: ParticipantSelector,
        /// The method.
        method: HttpMethod,
        /// The path below the participant's base URL.
        path: PathTemplate,
    },
}

/// Who performs a command.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParticipantSelector {
    /// A participant, by its name in participants.yaml.
    Participant(String),
    /// `capability:name`: any participant that has it. One is chosen when the command begins, and stays for all
    /// attempts; an undo that names the capability of its do goes to whom the do went to.
    Capability(String),
}

/// How a command travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransportKind {
    /// As a record.
    Kafka,
    /// As a request.
    Http,
}

impl CallTarget {
    /// Who performs it.
    #[must_use]
    pub fn whom(&self) -> &ParticipantSelector {
        match self {
            CallTarget::Kafka { whom, .. } | CallTarget::Http { whom, .. } => whom,
        }
    }

    /// How it travels.
    #[must_use]
    pub fn over(&self) -> TransportKind {
        match self {
            CallTarget::Kafka { .. } => TransportKind::Kafka,
            CallTarget::Http { .. } => TransportKind::Http,
        }
    }

    /// The capability that is asked for, if no participant is named.
    #[must_use]
    pub fn capability(&self) -> Option<&str> {
        match self.whom() {
            ParticipantSelector::Participant(_) => None,
            ParticipantSelector::Capability(name) => Some(name),
        }
    }
}

impl ParticipantSelector {
    /// The participant that is named; `None` where one is chosen by capability.
    #[must_use]
    pub fn participant(&self) -> Option<&str> {
        match self {
            ParticipantSelector::Participant(name) => Some(name),
            ParticipantSelector::Capability(_) => None,
        }
    }
}

impl fmt::Display for ParticipantSelector {
    /// As definitions write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParticipantSelector::Participant(name) => f.write_str(name),
            ParticipantSelector::Capability(name) => write!(f, "capability:{name}"),
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TransportKind::Kafka => "Kafka",
            TransportKind::Http => "HTTP",
        })
    }
}
