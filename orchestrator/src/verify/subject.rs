//! Commands as they are typed.

use saga_core::{
    command::{Method, Request},
    definition::participants::{Participant, Transport},
};
use serde_json::Value;
use std::{fmt, str::FromStr};

/// A command as a definition names it, without `${ }`: the real one has a path, not a template of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `participant.Command`
    Kafka {
        /// Name in participants.yaml.
        participant: String,
        /// The command's type.
        command: String,
    },
    /// `METHOD participant/path`
    Http {
        /// Name in participants.yaml.
        participant: String,
        /// The method.
        method: Method,
        /// Below the participant's base URL.
        path: String,
    },
}

/// A text names no command that can be verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASubject {
    /// It has no such form.
    #[error(
        "`{0}` names no command: write participant.Command, or `METHOD participant/path` with GET, POST, PUT, PATCH or DELETE"
    )]
    Form(String),
    /// It has an expression in it.
    #[error("`{0}` has a `${{ }}`: write the path as it is sent, with values that exist")]
    Template(String),
    /// It is said in the other transport's form.
    #[error("`{target}` does not fit: {participant} is reached over {transport}")]
    Transport {
        /// As typed.
        target: String,
        /// Its name.
        participant: String,
        /// How it is reached.
        transport: &'static str,
    },
}

const METHODS: [(&str, Method); 5] = [
    ("GET", Method::Get),
    ("POST", Method::Post),
    ("PUT", Method::Put),
    ("PATCH", Method::Patch),
    ("DELETE", Method::Delete),
];

impl FromStr for Target {
    type Err = NotASubject;

    fn from_str(text: &str) -> Result<Target, NotASubject> {
        if text.contains("${") {
            return Err(NotASubject::Template(text.to_owned()));
        }
        let target = match text.split_once(' ') {
            None => text.rsplit_once('.').and_then(|(participant, command)| {
                let named = !participant.is_empty() && !command.is_empty() && !text.contains('/');
                named.then(|| Target::Kafka { participant: participant.to_owned(), command: command.to_owned() })
            }),
            Some((method, rest)) => http(method, rest.trim()),
        };
        target.ok_or_else(|| NotASubject::Form(text.to_owned()))
    }
}

fn http(method: &str, rest: &str) -> Option<Target> {
    let (_, method) = METHODS.iter().find(|(name, _)| *name == method)?;
    let (participant, path) =
        rest.split_once('/').filter(|(participant, path)| !participant.is_empty() && !path.is_empty())?;
    Some(Target::Http { participant: participant.to_owned(), method: *method, path: path.to_owned() })
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Kafka { participant, command } => write!(f, "{participant}.{command}"),
            Target::Http { participant, method, path } => {
                let name = METHODS.iter().find(|(_, other)| other == method).map_or("", |(name, _)| name);
                write!(f, "{name} {participant}/{path}")
            }
        }
    }
}

impl Target {
    /// Who performs it.
    #[must_use]
    pub fn participant(&self) -> &str {
        match self {
            Target::Kafka { participant, .. } | Target::Http { participant, .. } => participant,
        }
    }

    /// Whether `participant` can be asked in this form.
    ///
    /// # Errors
    /// It is reached the other way.
    pub fn fits(&self, participant: &Participant) -> Result<(), NotASubject> {
        let transport = match (self, &participant.transport) {
            (Target::Kafka { .. }, Transport::Kafka { .. }) | (Target::Http { .. }, Transport::Http { .. }) => {
                return Ok(());
            }
            (Target::Kafka { .. }, Transport::Http { .. }) => "HTTP",
            (Target::Http { .. }, Transport::Kafka { .. }) => "Kafka",
        };
        Err(NotASubject::Transport { target: self.to_string(), participant: self.participant().to_owned(), transport })
    }

    pub(super) fn request(&self, body: Value) -> Request {
        match self.clone() {
            Target::Kafka { participant, command } => Request::Kafka { participant, command, body },
            Target::Http { participant, method, path } => Request::Http { participant, method, path, body: Some(body) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_typed_as_definitions_write_them() {
        for text in ["inventory.ReserveStock", "POST payments/charges", "GET travel/visa-rules/PEK"] {
            assert_eq!(text.parse::<Target>().expect("a command").to_string(), text);
        }
        for text in ["", "inventory", "inventory.", "FETCH payments/charges", "POST payments", "POST /charges"] {
            assert_eq!(text.parse::<Target>(), Err(NotASubject::Form(text.into())), "{text}");
        }
        let template = "DELETE payments/charges/${ steps.charge.chargeId }";
        assert_eq!(template.parse::<Target>(), Err(NotASubject::Template(template.into())));
    }
}
