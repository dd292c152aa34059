//! The comparison of schemas, and its findings.

use super::version::{SchemaLanguage, SchemaStage, SchemaVersion};
use anyhow::bail;
use saga_schemas::{
    avro::AvroSchema,
    evolution::{BreakWeight, CompatibilityRule, EvolutionBreak, ReadDirection, avro_breaks, json_breaks},
};
use serde_json::{Value, json};
use std::fmt;

/// One break, with the schemas it is between.
#[derive(Clone, Debug)]
pub(super) struct SchemaFinding {
    file: String,
    against: String,
    event_type: String,
    found: EvolutionBreak,
}

/// What came of a comparison.
#[derive(Debug, Default)]
pub(super) struct SchemaComparison {
    pub(super) findings: Vec<SchemaFinding>,
    /// Schemas that had an earlier one.
    pub(super) compared: usize,
    /// What was not compared, for people.
    pub(super) notes: Vec<String>,
}

/// Compares each schema of the last stage with those of the same events in the stages before.
///
/// # Errors
/// Two files that were named are in different languages.
pub(super) fn compare(rule: CompatibilityRule, stages: &[SchemaStage]) -> anyhow::Result<SchemaComparison> {
    let mut comparison = SchemaComparison::default();
    let Some((new, earlier)) = stages.split_last() else { return Ok(comparison) };
    for schema in &new.schemas {
        let before: Vec<&SchemaVersion> =
            earlier.iter().filter_map(|stage| in_stage(stage, schema, new.is_one)).collect();
        if before.is_empty() {
            comparison.notes.push(format!("{}: there is no earlier schema of {}", schema.label, schema.event_type));
            continue;
        }
        comparison.compared += 1;
        comparison.findings.extend(findings(rule, schema, &before)?);
    }
    let gone = earlier.last().into_iter().flat_map(|stage| &stage.schemas);
    let gone = gone.filter(|old| !new.is_one && !new.schemas.iter().any(|schema| schema.is_of_the_events_of(old)));
    comparison.notes.extend(gone.map(|old| format!("{}: there is no new schema of {}", old.label, old.event_type)));
    Ok(comparison)
}

/// The schema of a stage that `new` follows. Of two files that the user names the names need not be the same: that is a
/// finding.
fn in_stage<'s>(stage: &'s SchemaStage, new: &SchemaVersion, new_is_one: bool) -> Option<&'s SchemaVersion> {
    let same = stage.schemas.iter().find(|schema| schema.is_of_the_events_of(new));
    same.or_else(|| stage.schemas.first().filter(|_| stage.is_one && new_is_one))
}

fn findings(
    rule: CompatibilityRule,
    new: &SchemaVersion,
    earlier: &[&SchemaVersion],
) -> anyhow::Result<Vec<SchemaFinding>> {
    let breaks = match &new.language {
        SchemaLanguage::Avro(schema) => avro_breaks(rule, schema, &avro(new, earlier)?),
        SchemaLanguage::Json(schema) => json_breaks(rule, schema, &json(new, earlier)?),
    };
    let finding = |found: EvolutionBreak| SchemaFinding {
        file: new.label.clone(),
        against: earlier.get(found.against).map(|schema| schema.label.clone()).unwrap_or_default(),
        event_type: new.event_type.clone(),
        found,
    };
    Ok(breaks.into_iter().map(finding).collect())
}

fn avro(new: &SchemaVersion, earlier: &[&SchemaVersion]) -> anyhow::Result<Vec<AvroSchema>> {
    let schema = |old: &&SchemaVersion| match &old.language {
        SchemaLanguage::Avro(schema) => Ok(schema.clone()),
        SchemaLanguage::Json(_) => bail!("{} is an Avro schema, and {} is a JSON Schema", new.label, old.label),
    };
    earlier.iter().map(schema).collect()
}

fn json(new: &SchemaVersion, earlier: &[&SchemaVersion]) -> anyhow::Result<Vec<Value>> {
    let schema = |old: &&SchemaVersion| match &old.language {
        SchemaLanguage::Json(schema) => Ok(schema.clone()),
        SchemaLanguage::Avro(_) => bail!("{} is a JSON Schema, and {} is an Avro schema", new.label, old.label),
    };
    earlier.iter().map(schema).collect()
}

impl SchemaFinding {
    pub(super) fn is_error(&self) -> bool {
        self.found.weight == BreakWeight::Break
    }

    fn severity(&self) -> &'static str {
        if self.is_error() { "error" } else { "warning" }
    }

    /// For `--output json`; `file severity code message` as in findings of `saga check`.
    pub(super) fn json(&self) -> Value {
        json!({
            "file": self.file,
            "against": self.against,
            "type": self.event_type,
            "direction": self.found.direction.as_str(),
            "path": self.found.path.to_string(),
            "severity": self.severity(),
            "code": self.found.kind.as_str(),
            "message": self.found.message,
        })
    }
}

impl fmt::Display for SchemaFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EvolutionBreak { direction, path, kind, message, .. } = &self.found;
        let (reader, writer) = match direction {
            ReadDirection::Backward => (&self.file, &self.against),
            ReadDirection::Forward => (&self.against, &self.file),
        };
        writeln!(f, "{}[{}]: {path}: {message}", self.severity(), kind.as_str())?;
        let verb = if self.is_error() { "does not read" } else { "reads otherwise" };
        write!(f, "  {reader} {verb} what {writer} writes ({})", direction.as_str())
    }
}
