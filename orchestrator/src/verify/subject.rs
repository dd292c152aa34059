//! Commands as they are typed.

use saga_core::{
    command::{CommandRequest, HttpMethod},
    definition::participants::{ParticipantConfig, TransportConfig},
};
use serde_json::Value;
use std::{fmt, str::FromStr};

/// A command as in a definition, without `${ }`: a typed command has the real path and no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TypedTarget {
    /// A command over Kafka, typed as `participant.Command`.
    Kafka {
        /// Name of the participant in participants.yaml.
        participant: String,
        /// Type of the command, for example `ReserveStock`.
        command: String,
    },
    /// A command over HTTP, typed as `METHOD participant/path`.
    Http {
        /// Name of the participant in participants.yaml.
        participant: String,
        /// Method of the request.
        method: HttpMethod,
        /// Below the participant's base URL.
        path: String,
    },
}

/// Why a text is not a command that can be verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TypedTargetError {
    /// The text has another form.
    #[error(
        "`{0}` is not a command: write participant.Command, or `METHOD participant/path` with GET, POST, PUT, PATCH, DELETE"
    )]
    Form(String),
    /// The text has an expression in it.
    #[error("`{0}` has a `${{ }}`: write the path as it is sent, with values that exist")]
    Template(String),
    /// The text has the form of the other transport.
    #[error("`{target}` does not fit: {participant} is reached over {transport}")]
    Transport {
        /// The text as typed.
        target: String,
        /// Name of the participant.
        participant: String,
        /// Transport of the participant in participants.yaml.
        transport: &'static str,
    },
}

impl FromStr for TypedTarget {
    type Err = TypedTargetError;

    fn from_str(text: &str) -> Result<TypedTarget, TypedTargetError> {
        if text.contains("${") {
            return Err(TypedTargetError::Template(text.to_owned()));
        }
        let target = match text.split_once(' ') {
            None => text.rsplit_once('.').and_then(|(participant, command)| {
                let named = !participant.is_empty() && !command.is_empty() && !text.contains('/');
                named.then(|| TypedTarget::Kafka { participant: participant.to_owned(), command: command.to_owned() })
            }),
            Some((method, rest)) => http(method, rest.trim()),
        };
        target.ok_or_else(|| TypedTargetError::Form(text.to_owned()))
    }
}

fn http(method: &str, rest: &str) -> Option<TypedTarget> {
    let method = method.parse::<HttpMethod>().ok()?;
    let (participant, path) =
        rest.split_once('/').filter(|(participant, path)| !participant.is_empty() && !path.is_empty())?;
    Some(TypedTarget::Http { participant: participant.to_owned(), method, path: path.to_owned() })
}

impl fmt::Display for TypedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypedTarget::Kafka { participant, command } => write!(f, "{participant}.{command}"),
            TypedTarget::Http { participant, method, path } => {
                write!(f, "{} {participant}/{path}", method.as_str())
            }
        }
    }
}

impl TypedTarget {
    /// Name of its participant.
    #[must_use]
    pub(crate) fn participant(&self) -> &str {
        match self {
            TypedTarget::Kafka { participant, .. } | TypedTarget::Http { participant, .. } => participant,
        }
    }

    /// Checks that `participant` has the transport of this form.
    ///
    /// # Errors
    /// It has the other transport.
    pub(crate) fn fits(&self, participant: &ParticipantConfig) -> Result<(), TypedTargetError> {
        let transport = match (self, &participant.transport) {
            (TypedTarget::Kafka { .. }, TransportConfig::Kafka { .. })
            | (TypedTarget::Http { .. }, TransportConfig::Http { .. }) => {
                return Ok(());
            }
            (TypedTarget::Kafka { .. }, TransportConfig::Http { .. }) => "HTTP",
            (TypedTarget::Http { .. }, TransportConfig::Kafka { .. }) => "Kafka",
        };
        Err(TypedTargetError::Transport {
            target: self.to_string(),
            participant: self.participant().to_owned(),
            transport,
        })
    }

    pub(super) fn request(&self, body: Value) -> CommandRequest {
        match self.clone() {
            TypedTarget::Kafka { participant, command } => CommandRequest::Kafka { participant, command, body },
            TypedTarget::Http { participant, method, path } => {
                CommandRequest::Http { participant, method, path, body: Some(body) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_typed_as_definitions_write_them() {
        for text in ["inventory.ReserveStock", "POST payments/charges", "GET travel/visa-rules/PEK"] {
            assert_eq!(text.parse::<TypedTarget>().expect("a command").to_string(), text);
        }
        for text in ["", "inventory", "inventory.", "FETCH payments/charges", "POST payments", "POST /charges"] {
            assert_eq!(text.parse::<TypedTarget>(), Err(TypedTargetError::Form(text.into())), "{text}");
        }
        let template = "DELETE payments/charges/${ steps.charge.chargeId }";
        assert_eq!(template.parse::<TypedTarget>(), Err(TypedTargetError::Template(template.into())));
    }
}
