//! The participant or capability that a call goes to.

use crate::{command::HttpMethod, expression::PathTemplate};
use std::fmt;

/// The command that a call asks for, and the participant or capability that performs it.
#[derive(Clone, Debug)]
pub enum CallTarget {
    /// `participant.Command`: a record on the participant's command topic.
    Kafka {
        /// The participant or capability that performs the command.
        whom: ParticipantSelector,
        /// The command's type, which the participant uses to choose its handler.
        command: String,
    },
    /// `METHOD participant/path`: one HTTP request.
    Http {
        /// The participant or capability that performs the command.
        whom: ParticipantSelector,
        /// The HTTP method of the request.
        method: HttpMethod,
        /// The path below the participant's base URL.
        path: PathTemplate,
    },
}

/// The participant that performs a command, by name or by capability.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParticipantSelector {
    /// A participant, by its name in participants.yaml.
    Participant(String),
    /// `capability:name`: any participant that has it. One is chosen when the command begins, and stays for all
    /// attempts; an undo that names the capability of its do goes to the participant of the do.
    Capability(String),
}

/// The transport over which the engine sends a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransportKind {
    /// The engine sends the command as a Kafka record and reads the reply from a topic.
    Kafka,
    /// The engine sends the command as an HTTP request to one of the participant's endpoints.
    Http,
}

impl CallTarget {
    /// The participant or capability that performs the command.
    #[must_use]
    pub fn whom(&self) -> &ParticipantSelector {
        match self {
            CallTarget::Kafka { whom, .. } | CallTarget::Http { whom, .. } => whom,
        }
    }

    /// The transport that the command uses.
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
    /// Writes the selector as definitions write it.
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
