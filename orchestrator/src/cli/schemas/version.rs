//! Schemas that are compared: each with the type of its events and where it comes from.

use crate::source_files;
use anyhow::{Context, bail};
use saga_core::definition::{SourceFile, json_schema::FILE_ENDING};
use saga_registry::SubjectVersion;
use saga_schemas::avro::AvroSchema;
use serde_json::Value;
use std::path::Path;

/// One schema.
#[derive(Clone, Debug)]
pub(super) struct SchemaVersion {
    /// The file, or the version of a subject, as findings name it.
    pub(super) label: String,
    /// The type of the events that it is of.
    pub(super) event_type: String,
    pub(super) language: SchemaLanguage,
    /// Its text, under a name that says the language.
    pub(super) source: SourceFile,
}

/// What a schema is written in.
#[derive(Clone, Debug)]
pub(super) enum SchemaLanguage {
    Avro(AvroSchema),
    Json(Value),
}

/// Schemas of one time: those of a folder, or one file.
#[derive(Clone, Debug)]
pub(super) struct SchemaStage {
    pub(super) schemas: Vec<SchemaVersion>,
    /// Whether the user has named this one schema: it is compared whatever its name is.
    pub(super) is_one: bool,
}

impl SchemaStage {
    /// Reads a file or a folder. A folder without schemas is an error of the user, not a success.
    pub(super) fn read(path: &Path) -> anyhow::Result<SchemaStage> {
        if !path.is_dir() {
            return Ok(SchemaStage { schemas: vec![SchemaVersion::read(path)?], is_one: true });
        }
        let paths = source_files::schemas(path)?;
        if paths.is_empty() {
            bail!("there is neither a *.avsc nor a *{FILE_ENDING} in {}", path.display());
        }
        let schemas = paths.iter().map(|path| SchemaVersion::read(path)).collect::<anyhow::Result<_>>()?;
        Ok(SchemaStage { schemas, is_one: false })
    }

    pub(super) fn of_subject(version: SchemaVersion) -> SchemaStage {
        SchemaStage { schemas: vec![version], is_one: true }
    }
}

impl SchemaVersion {
    fn read(path: &Path) -> anyhow::Result<SchemaVersion> {
        let source = source_files::read_source(path)?;
        SchemaVersion::of(source).with_context(|| path.display().to_string())
    }

    /// The schema of a file.
    pub(super) fn of(source: SourceFile) -> anyhow::Result<SchemaVersion> {
        if !source.name.ends_with(FILE_ENDING) {
            let schema = AvroSchema::parse(&source.text)?;
            return Ok(SchemaVersion::avro(source, schema));
        }
        let value: Value = serde_json::from_str(&source.text).context("it is no JSON")?;
        let name = Path::new(&source.name).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = name.strip_suffix(FILE_ENDING).unwrap_or(&name);
        let event_type = value["title"].as_str().unwrap_or(stem).to_owned();
        Ok(SchemaVersion { label: source.name.clone(), event_type, language: SchemaLanguage::Json(value), source })
    }

    /// A version of a subject. Its references stand within it where the text alone is no schema.
    pub(super) fn registered(subject: &str, version: &SubjectVersion) -> SchemaVersion {
        let schema = version.schema.clone();
        let is_whole = AvroSchema::parse(schema.text()).is_ok();
        let text = if is_whole { schema.text() } else { schema.canonical_form() }.to_owned();
        SchemaVersion::avro(SourceFile::new(format!("{subject} version {}", version.version), text), schema)
    }

    fn avro(source: SourceFile, schema: AvroSchema) -> SchemaVersion {
        let event_type = schema.name().unwrap_or_default().to_owned();
        let label = source.name.clone();
        SchemaVersion { label, event_type, language: SchemaLanguage::Avro(schema), source }
    }

    /// Whether this is of the same events as `other`, in the same language.
    pub(super) fn is_of_the_events_of(&self, other: &SchemaVersion) -> bool {
        self.event_type == other.event_type && self.is_json() == other.is_json()
    }

    fn is_json(&self) -> bool {
        matches!(self.language, SchemaLanguage::Json(_))
    }
}
