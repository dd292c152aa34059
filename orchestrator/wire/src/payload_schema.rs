//! Values of records in Avro: which schema a record names, and what its bytes say by that schema.
//!
//! Nothing here looks a schema up. The caller asks for the name, finds the schema, and gives it to whatever reads the
//! record.

use super::{
    payload::{self, LARGEST_RECORD},
    poison::{PoisonCode, PoisonDiagnosis},
    record::KafkaRecord,
};
use saga_contract::headers as names;
use saga_schemas::{
    avro::AvroSchema,
    decode::{AvroDecoder, DecodeError, DecodeFault},
    encode::{EncodeError, encode_changed},
    framing::{FramingError, RecordFraming, VALUE_SCHEMA_HEADER},
};
use serde_json::Value;
use std::{fmt, sync::Arc};
use uuid::Uuid;

/// How a record names the schema of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PayloadSchemaName {
    /// By the id in the registry.
    Id(u32),
    /// By the GUID in the registry.
    Guid(Uuid),
    /// By the fingerprint of its canonical form, as single-object encoding does.
    Fingerprint(u64),
}

/// Reads what was written by one schema. Made once for a schema, and used for all its records.
#[derive(Debug)]
pub struct PayloadReader {
    writer: AvroSchema,
    decoder: AvroDecoder,
}

/// Where a value in Avro stops being what its schema says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvroFaultPlace {
    /// The path to the value that is wrong.
    pub path: String,
    /// The first byte of it in the record's value, the frame included.
    pub byte: usize,
    /// What was expected there, and what was found.
    pub fault: String,
}

/// What is known of the schema of a record's value.
#[derive(Clone, Debug)]
pub enum PayloadSchema {
    /// No schema was looked up: the record names none, or nobody wants its content.
    Unneeded,
    /// The schema that the record names.
    Known(Arc<PayloadReader>),
    /// The schema cannot be had, and the record never be read.
    Unreadable(PoisonDiagnosis),
    /// Another engine has read the value already.
    Decoded(Value),
}

/// What stands in a record's value, before it is read.
#[derive(Debug)]
pub(crate) enum RecordContent<'a> {
    /// What should be JSON.
    Json,
    /// Avro, and what reads it.
    Avro(&'a PayloadReader, &'a [u8]),
    /// What another engine read.
    Decoded(&'a Value),
    /// The value cannot be read.
    Broken(PoisonDiagnosis),
}

/// A value with the frame taken off.
enum RecordFrame<'a> {
    Json,
    Named(PayloadSchemaName, &'a [u8]),
    Broken(PoisonDiagnosis),
}

impl PayloadReader {
    /// A reader of what `schema` wrote.
    #[must_use]
    pub fn new(schema: &AvroSchema) -> PayloadReader {
        PayloadReader { writer: schema.clone(), decoder: AvroDecoder::new(schema) }
    }

    /// A reader of the same records that gives them the form of `reader`.
    #[must_use]
    pub fn in_the_form_of(&self, reader: &AvroSchema) -> PayloadReader {
        PayloadReader { writer: self.writer.clone(), decoder: AvroDecoder::resolving(&self.writer, reader) }
    }

    /// Full name of the record that the schema describes, by which it was written.
    #[must_use]
    pub fn record_name(&self) -> Option<&str> {
        self.writer.name()
    }

    /// The same name for people.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        self.record_name().unwrap_or("without a name")
    }

    /// The value that `bytes` are by the schema that wrote them, whatever form the reader gives.
    pub(crate) fn read_as_written(&self, bytes: &[u8]) -> Result<Value, DecodeError> {
        AvroDecoder::new(&self.writer).decode(bytes)
    }

    /// The bytes of `value`, which takes the place of `before`, by the schema that wrote that.
    pub(crate) fn write_changed(&self, value: &Value, before: &[u8]) -> Result<Vec<u8>, EncodeError> {
        encode_changed(&self.writer, value, before)
    }

    /// The value that `bytes` are. `room`: bytes that its JSON may have.
    ///
    /// # Errors
    /// The bytes are not what the schema says, or their JSON is too large.
    pub fn read(&self, bytes: &[u8], room: usize) -> Result<Value, PoisonDiagnosis> {
        let value = self.decoder.decode(bytes).map_err(|error| self.unfit(&error))?;
        let text = value.to_string();
        if text.len() > room {
            let message = format!("as JSON it has {} bytes; with the record itself at most 1 MiB is taken", text.len());
            return Err(PoisonDiagnosis::new(PoisonCode::Oversize, message));
        }
        // Whoever reads it later reads this text: what is judged is what that gives.
        payload::json(text.as_bytes())
    }

    fn unfit(&self, error: &DecodeError) -> PoisonDiagnosis {
        let code = match error.fault() {
            DecodeFault::Nul => PoisonCode::Nul,
            DecodeFault::Depth => PoisonCode::Depth,
            DecodeFault::RepeatedKey(_) => PoisonCode::RepeatedName,
            DecodeFault::ReservedKey => PoisonCode::ReservedName,
            DecodeFault::End { .. }
            | DecodeFault::Length { .. }
            | DecodeFault::Integer { .. }
            | DecodeFault::Boolean { .. }
            | DecodeFault::Index { .. }
            | DecodeFault::Block { .. }
            | DecodeFault::Utf8 { .. }
            | DecodeFault::TooManyValues
            | DecodeFault::Logical(_)
            | DecodeFault::Mismatch(_)
            | DecodeFault::Trailing { .. } => PoisonCode::Avro,
        };
        let record = self.record_name().map(|name| format!("by the schema {name}: ")).unwrap_or_default();
        PoisonDiagnosis::new(code, format!("{record}{error}"))
    }
}

impl PayloadSchemaName {
    /// The schema that the value of `record` names; `None`: it names none, or is beyond what is read.
    #[must_use]
    pub fn of(record: &KafkaRecord) -> Option<PayloadSchemaName> {
        match frame(record) {
            RecordFrame::Named(name, _) => Some(name),
            RecordFrame::Json | RecordFrame::Broken(_) => None,
        }
    }
}

impl fmt::Display for PayloadSchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PayloadSchemaName::Id(id) => write!(f, "the schema with the id {id}"),
            PayloadSchemaName::Guid(guid) => write!(f, "the schema with the GUID {guid}"),
            PayloadSchemaName::Fingerprint(fingerprint) => {
                write!(f, "the schema with the fingerprint {fingerprint:016x}")
            }
        }
    }
}

impl<'a> RecordContent<'a> {
    /// What the value of `record` is, by what is known of its schema.
    pub(crate) fn of(record: &'a KafkaRecord, schema: &'a PayloadSchema) -> RecordContent<'a> {
        match (schema, frame(record)) {
            (PayloadSchema::Decoded(value), _) => RecordContent::Decoded(value),
            (PayloadSchema::Unreadable(poison), _) => RecordContent::Broken(poison.clone()),
            (_, RecordFrame::Json) => RecordContent::Json,
            (_, RecordFrame::Broken(poison)) => RecordContent::Broken(poison),
            (PayloadSchema::Known(reader), RecordFrame::Named(_, bytes)) => RecordContent::Avro(reader, bytes),
            (PayloadSchema::Unneeded, RecordFrame::Named(name, _)) => {
                let message = format!("its value names {name}, which was not looked up");
                RecordContent::Broken(PoisonDiagnosis::new(PoisonCode::UnknownSchema, message))
            }
        }
    }

    /// The value of `record`, whose content this is; one without a value is `null`.
    ///
    /// # Errors
    /// It is not JSON or Avro, or holds what is not taken.
    pub(crate) fn read(self, record: &KafkaRecord) -> Result<Value, PoisonDiagnosis> {
        match (self, record.value.as_deref()) {
            (RecordContent::Broken(poison), _) => Err(poison),
            (RecordContent::Decoded(value), _) => Ok(value.clone()),
            (RecordContent::Avro(reader, bytes), _) => reader.read(bytes, LARGEST_RECORD.saturating_sub(record.size())),
            (RecordContent::Json, Some(bytes)) => payload::json(bytes),
            (RecordContent::Json, None) => Ok(Value::Null),
        }
    }
}

/// Where the value of `record` stops being what `schema` says; `None`: it is what it says, or is not in Avro.
#[must_use]
pub fn avro_fault(record: &KafkaRecord, schema: &PayloadSchema) -> Option<AvroFaultPlace> {
    let RecordContent::Avro(reader, bytes) = RecordContent::of(record, schema) else { return None };
    let error = reader.decoder.decode(bytes).err()?;
    let frame = record.value.as_ref().map_or(0, |value| value.len() - bytes.len());
    let (path, fault) = (error.path().to_string(), error.fault().to_string());
    Some(AvroFaultPlace { path, byte: frame + error.offset(), fault })
}

/// Why a record of a topic of JSON is none: its value has a frame of Avro.
#[must_use]
pub fn not_json(record: &KafkaRecord) -> Option<PoisonDiagnosis> {
    let RecordFrame::Named(name, _) = frame(record) else { return None };
    let message = format!("its topic takes JSON (`topics.formats`), and its value is in Avro: it names {name}");
    Some(PoisonDiagnosis::new(PoisonCode::WrongFormat, message))
}

/// Why a record of a topic of Avro is none: its value has no frame. A record without a value is in any format.
#[must_use]
pub fn not_avro(record: &KafkaRecord) -> Option<PoisonDiagnosis> {
    let (RecordFrame::Json, Some(value)) = (frame(record), record.value.as_deref()) else { return None };
    let found = match value.first() {
        _ if says_json(record) => "its header `content-type` says JSON".to_owned(),
        None => "its value is empty".to_owned(),
        Some(first) if first.is_ascii_graphic() => format!("its value begins with `{}`", char::from(*first)),
        Some(first) => format!("its value begins with the byte {first:02x}"),
    };
    let help = "let the producer use an Avro serialiser that writes the frame of the schema registry";
    let message = format!("its topic takes Avro (`topics.formats`), and {found}, which is no frame of Avro: {help}");
    Some(PoisonDiagnosis::new(PoisonCode::WrongFormat, message))
}

fn frame(record: &KafkaRecord) -> RecordFrame<'_> {
    let Some(value) = record.value.as_deref().filter(|_| !says_json(record)) else { return RecordFrame::Json };
    let broken = |code, message: String| RecordFrame::Broken(PoisonDiagnosis::new(code, message));
    let named = |name, payload| match record.size() {
        0..=LARGEST_RECORD => RecordFrame::Named(name, payload),
        size => broken(PoisonCode::Oversize, format!("{size} bytes, at most 1 MiB")),
    };
    match RecordFraming::of(value, record.header(VALUE_SCHEMA_HEADER)) {
        // What it is instead of JSON, the reader of JSON says best.
        Ok(RecordFraming::Json(_)) | Err(FramingError::Unknown { .. }) => RecordFrame::Json,
        Ok(RecordFraming::RegistryId { id, payload }) => named(PayloadSchemaName::Id(id), payload),
        Ok(RecordFraming::RegistryGuid { guid, payload }) => named(PayloadSchemaName::Guid(guid), payload),
        Ok(RecordFraming::SingleObject { fingerprint, payload }) => {
            named(PayloadSchemaName::Fingerprint(fingerprint), payload)
        }
        Err(error @ (FramingError::Short { .. } | FramingError::Header { .. })) => {
            broken(PoisonCode::Avro, error.to_string())
        }
    }
}

/// Whether the header `content-type` says that the value is JSON, whatever it begins with.
fn says_json(record: &KafkaRecord) -> bool {
    let said = record.header_text(names::CONTENT_TYPE).unwrap_or_default();
    let kind = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

#[cfg(test)]
mod tests;
