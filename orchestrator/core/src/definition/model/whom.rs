//! Whom a call goes to.

use crate::{command::Method, expression::PathTemplate};
use std::fmt;

/// What a call asks for, and of whom.
#[derive(Clone, Debug)]
pub enum Target {
    /// `participant.Command`
    Kafka {
        /// Who performs it.
        whom: Whom,
        /// The command's type.
        command: String,
    },
    /// `METHOD participant/path`
    Http {
        /// Who performs it.
        whom: Whom,
        /// The method.
        method: Method,
        /// The path below the participant's base URL.
        path: PathTemplate,
    },
}

/// Who performs a command.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whom {
    /// A participant, by its name in participants.yaml.
    Participant(String),
    /// `capability:name`: any participant that has it. One is chosen when the command begins, and stays for all attempts; an undo that
    /// names the capability of its do goes to whom the do went to.
    Capability(String),
}

/// How a command travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Over {
    /// As a record.
    Kafka,
    /// As a request.
    Http,
}

impl Target {
    /// Who performs it.
    #[must_use]
    pub fn whom(&self) -> &Whom {
        match self {
            Target::Kafka { whom, .. } | Target::Http { whom, .. } => whom,
        }
    }

    /// How it travels.
    #[must_use]
    pub fn over(&self) -> Over {
        match self {
            Target::Kafka { .. } => Over::Kafka,
            Target::Http { .. } => Over::Http,
        }
    }

    /// The capability that is asked for, if no participant is named.
    #[must_use]
    pub fn capability(&self) -> Option<&str> {
        match self.whom() {
            Whom::Participant(_) => None,
            Whom::Capability(name) => Some(name),
        }
    }
}

impl Whom {
    /// The participant that is named; `None` where one is chosen by capability.
    #[must_use]
    pub fn participant(&self) -> Option<&str> {
        match self {
            Whom::Participant(name) => Some(name),
            Whom::Capability(_) => None,
        }
    }
}

impl fmt::Display for Whom {
    /// As definitions write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whom::Participant(name) => f.write_str(name),
            Whom::Capability(name) => write!(f, "capability:{name}"),
        }
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Over::Kafka => "Kafka",
            Over::Http => "HTTP",
        })
    }
}
