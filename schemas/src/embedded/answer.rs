//! Answers, errors in Confluent's form among them.

use serde_json::{Value, json};

/// What a registry answers.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistryAnswer {
    /// Status of HTTP.
    pub status: u16,
    /// JSON; `application/vnd.schemaregistry.v1+json`.
    pub body: Value,
}

impl RegistryAnswer {
    pub(super) fn ok(body: Value) -> RegistryAnswer {
        RegistryAnswer { status: 200, body }
    }

    /// The first three digits of a code are the status.
    fn error(code: u32, message: impl Into<String>) -> RegistryAnswer {
        let status = u16::try_from(if code > 999 { code / 100 } else { code }).unwrap_or(500);
        RegistryAnswer { status, body: json!({"error_code": code, "message": message.into()}) }
    }

    pub(super) fn no_subject(subject: &str) -> RegistryAnswer {
        RegistryAnswer::error(40_401, format!("Subject '{subject}' not found."))
    }

    pub(super) fn no_version(version: &str) -> RegistryAnswer {
        RegistryAnswer::error(40_402, format!("Version {version} not found."))
    }

    pub(super) fn no_schema() -> RegistryAnswer {
        RegistryAnswer::error(40_403, "Schema not found")
    }

    pub(super) fn bad_version(version: &str) -> RegistryAnswer {
        let message = format!(
            "The specified version '{version}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
        );
        RegistryAnswer::error(42_202, message)
    }

    pub(super) fn bad_schema(reason: &str) -> RegistryAnswer {
        RegistryAnswer::error(42_201, format!("Invalid schema: {reason}"))
    }

    pub(super) fn read_only(subject: &str) -> RegistryAnswer {
        let told = "this registry only reads; put the schema into the folder of schemas";
        RegistryAnswer::error(42_205, format!("Subject {subject} is in read-only mode: {told}"))
    }

    pub(super) fn no_route(method: &str, path: &str) -> RegistryAnswer {
        RegistryAnswer::error(404, format!("{method} {path} is no request that this registry answers"))
    }
}
