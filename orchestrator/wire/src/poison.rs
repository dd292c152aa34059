//! Why a record can never be processed as it is.

mod help;

use saga_core::json::JsonError;
use std::fmt;

/// A poison record's diagnosis, as it goes to the DLQ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct PoisonDiagnosis {
    /// What class of fault it is.
    pub code: PoisonCode,
    /// What is wrong with this record, for people.
    pub message: String,
}

/// Classes of faults. Their names are stable: filters and runbooks use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoisonCode {
    /// It has no type, and every trigger of its topic wants one.
    NoType,
    /// Its value is not JSON.
    NotJson,
    /// Its value is in Avro, and not what its schema says.
    Avro,
    /// Its value is in another format than its topic has.
    WrongFormat,
    /// Nobody knows the schema that its value names.
    UnknownSchema,
    /// The schema that its value names cannot be used.
    SchemaMismatch,
    /// A string in it contains NUL, which no database takes.
    Nul,
    /// It nests deeper than whatever it leads to could be read back.
    Depth,
    /// A number in it has more digits than anybody reads.
    Number,
    /// An object in it has one name twice.
    RepeatedName,
    /// It has a name that the JSON library would take for something else.
    ReservedName,
    /// It holds several events, and a record is one.
    Batch,
    /// Larger than 1 MiB.
    Oversize,
    /// It is not what the JSON Schema of its type asks for.
    Schema,
    /// The definition's `when` has no value for it.
    When,
    /// The definition's `key` has no usable value for it.
    Key,
    /// A reply that does not say which command it answers.
    NoCommand,
    /// A reply whose `saga_outcome` is missing or unknown.
    Outcome,
    /// A reply with a header that cannot be read.
    Header,
    /// A record of the inbox that no instance wrote.
    Inbox,
    /// The saga it names is unknown.
    UnknownSaga,
    /// The definition it was forwarded for is unknown.
    UnknownDefinition,
    /// A reply that says the opposite of an earlier one to the same attempt.
    Contradiction,
    /// It names a step that the saga's definition does not have.
    UnknownStep,
    /// It does not fit its saga's state in a way that no rule foresees.
    IllegalInput,
    /// The engine panicked while it decided about it.
    Crash,
    /// The event store refuses what it leads to.
    StoreRefused,
    /// The journal of its saga cannot be read.
    SagaUnreadable,
}

impl PoisonDiagnosis {
    /// The same without the piece of the record that a message about JSON shows.
    #[must_use]
    pub fn without_excerpt(mut self) -> PoisonDiagnosis {
        if let Some(at) = self.message.find(", where `") {
            self.message.truncate(at);
        }
        self
    }

    /// Makes a diagnosis from a code and a message for people.
    pub fn new(code: PoisonCode, message: impl Into<String>) -> PoisonDiagnosis {
        PoisonDiagnosis { code, message: message.into() }
    }

    /// The diagnosis of a record on which `doing` panicked, with the text of the panic.
    pub fn of_panic(doing: &str, panic: &str) -> PoisonDiagnosis {
        PoisonDiagnosis::new(PoisonCode::Crash, format!("{doing} {panic}"))
    }
}

impl From<JsonError> for PoisonDiagnosis {
    fn from(unfit: JsonError) -> PoisonDiagnosis {
        let code = match &unfit {
            JsonError::NotJson(_) => PoisonCode::NotJson,
            JsonError::Depth { .. } => PoisonCode::Depth,
            JsonError::Number { .. } | JsonError::Exponent(_) => PoisonCode::Number,
            JsonError::Nul(_) => PoisonCode::Nul,
            JsonError::RepeatedName(_) => PoisonCode::RepeatedName,
            JsonError::ReservedName => PoisonCode::ReservedName,
        };
        PoisonDiagnosis::new(code, unfit.to_string())
    }
}

impl PoisonCode {
    /// All codes, in the order of the table of poison codes in the documentation of errors.
    pub const ALL: [PoisonCode; 28] = [
        PoisonCode::NoType,
        PoisonCode::NotJson,
        PoisonCode::Avro,
        PoisonCode::WrongFormat,
        PoisonCode::UnknownSchema,
        PoisonCode::SchemaMismatch,
        PoisonCode::Batch,
        PoisonCode::Nul,
        PoisonCode::Depth,
        PoisonCode::Number,
        PoisonCode::RepeatedName,
        PoisonCode::ReservedName,
        PoisonCode::Oversize,
        PoisonCode::Schema,
        PoisonCode::When,
        PoisonCode::Key,
        PoisonCode::NoCommand,
        PoisonCode::Outcome,
        PoisonCode::Header,
        PoisonCode::Inbox,
        PoisonCode::UnknownSaga,
        PoisonCode::UnknownDefinition,
        PoisonCode::UnknownStep,
        PoisonCode::Contradiction,
        PoisonCode::IllegalInput,
        PoisonCode::Crash,
        PoisonCode::StoreRefused,
        PoisonCode::SagaUnreadable,
    ];

    /// The code with this name; `None`: this build has none.
    #[must_use]
    pub fn parse(name: &str) -> Option<PoisonCode> {
        PoisonCode::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// The stable name of the code, for programs to compare.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            PoisonCode::NoType => "no_type",
            PoisonCode::NotJson => "not_json",
            PoisonCode::Avro => "avro",
            PoisonCode::WrongFormat => "wrong_format",
            PoisonCode::UnknownSchema => "unknown_schema",
            PoisonCode::SchemaMismatch => "schema_mismatch",
            PoisonCode::Nul => "nul",
            PoisonCode::Depth => "depth",
            PoisonCode::Number => "number",
            PoisonCode::RepeatedName => "repeated_name",
            PoisonCode::ReservedName => "reserved_name",
            PoisonCode::Batch => "batch",
            PoisonCode::Oversize => "oversize",
            PoisonCode::Schema => "schema",
            PoisonCode::When => "when",
            PoisonCode::Key => "key",
            PoisonCode::NoCommand => "no_command",
            PoisonCode::Outcome => "outcome",
            PoisonCode::Header => "header",
            PoisonCode::Inbox => "inbox",
            PoisonCode::UnknownSaga => "unknown_saga",
            PoisonCode::UnknownDefinition => "unknown_definition",
            PoisonCode::UnknownStep => "unknown_step",
            PoisonCode::Contradiction => "contradiction",
            PoisonCode::IllegalInput => "illegal_input",
            PoisonCode::Crash => "crash",
            PoisonCode::StoreRefused => "store_refused",
            PoisonCode::SagaUnreadable => "saga_unreadable",
        }
    }
}

impl fmt::Display for PoisonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
