//! Schemas of events, and of the Avro ones: whether an expression reads a field that the trigger's event has.

mod forms;

use super::{
    diagnostic::{CheckFinding, Code, FindingCollector, FindingSeverity, TextSpan},
    json_schema::{FILE_ENDING, JsonSchema},
    missing_field::MissingField,
};
use crate::expression::{UnfitKind, ValueKind, is_element};
use apache_avro::Schema;
use std::collections::{BTreeMap, btree_map::Entry};

/// Schemas of events: Avro ones by the full name of their record, JSON Schemas by the type of the event. Events whose
/// type has none are not checked.
#[derive(Clone, Debug, Default)]
pub struct SchemaCatalog {
    /// Every named type, those within others included.
    named: BTreeMap<String, Schema>,
    /// JSON Schemas, by the type of their events.
    json: BTreeMap<String, JsonSchema>,
}

/// Deepest nesting of a schema that is looked into.
const MAX_LEVELS: usize = 32;

impl SchemaCatalog {
    /// A catalog of schemas that the caller has already parsed.
    #[must_use]
    pub fn new(schemas: impl IntoIterator<Item = Schema>) -> SchemaCatalog {
        let mut all = SchemaCatalog::default();
        schemas.into_iter().for_each(|schema| all.collect(&schema, MAX_LEVELS));
        all
    }

    /// The schemas of `.avsc` files, and of those that end with [`FILE_ENDING`], given as (file name, text). Each file
    /// stands for itself.
    ///
    /// # Errors
    /// A finding for each file that is not a schema.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<SchemaCatalog, Vec<CheckFinding>> {
        let mut parsed = Vec::new();
        let mut findings = Vec::new();
        let mut json = BTreeMap::new();
        let mut first: BTreeMap<(bool, String), &str> = BTreeMap::new();
        for (file, text) in files {
            let is_json = file.ends_with(FILE_ENDING);
            let mut claim = |name: String| match first.entry((is_json, name)) {
                Entry::Vacant(free) => {
                    free.insert(file);
                }
                Entry::Occupied(taken) => findings.push(second(file, taken.get(), &taken.key().1)),
            };
            if is_json {
                match JsonSchema::parse(file, text) {
                    Ok(schema) => {
                        claim(schema.event_type().to_owned());
                        json.insert(schema.event_type().to_owned(), schema);
                    }
                    Err(wrong) => findings.extend(wrong),
                }
                continue;
            }
            match Schema::parse_str(text) {
                Ok(schema) => {
                    if let Some(name) = schema.name() {
                        claim(name.fullname(None));
                    }
                    parsed.push(schema);
                }
                Err(error) => {
                    let mut report = FindingCollector::new(file, text);
                    let help = "write one Avro schema as JSON, {\"type\": \"record\", \"name\": …, \"fields\": […]}";
                    report
                        .error(Code::BadSchema, TextSpan::default(), format!("not an Avro schema: {error}"))
                        .help(help);
                    findings.extend(report.into_findings());
                }
            }
        }
        if findings.is_empty() { Ok(SchemaCatalog { json, ..SchemaCatalog::new(parsed) }) } else { Err(findings) }
    }

    /// Whether one of these schemas is of the events of this type.
    #[must_use]
    pub fn describes(&self, event_type: &str) -> bool {
        self.json.contains_key(event_type) || self.record(event_type).is_some()
    }

    /// The types of events that these schemas are of.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.json.keys().chain(self.named.keys()).map(String::as_str)
    }

    /// The JSON Schema of the events of this type.
    #[must_use]
    pub fn json(&self, event_type: &str) -> Option<&JsonSchema> {
        self.json.get(event_type)
    }

    fn collect(&mut self, schema: &Schema, levels: usize) {
        let Some(levels) = levels.checked_sub(1) else { return };
        if let Some(name) = schema.name() {
            self.named.insert(name.fullname(None), schema.clone());
        }
        match schema {
            Schema::Record(record) => record.fields.iter().for_each(|field| self.collect(&field.schema, levels)),
            Schema::Array(array) => self.collect(&array.items, levels),
            Schema::Map(map) => self.collect(&map.types, levels),
            Schema::Union(union) => union.variants().iter().for_each(|variant| self.collect(variant, levels)),
            // Everything else holds no further schema.
            _ => {}
        }
    }

    /// The record whose full or short name is `event_type`; `None` if there is none, or several by the short name.
    #[must_use]
    pub fn record(&self, event_type: &str) -> Option<&Schema> {
        let is_record = |schema: &&Schema| matches!(schema, Schema::Record(_));
        if let Some(schema) = self.named.get(event_type).filter(is_record) {
            return Some(schema);
        }
        let short = |name: &str| name.rsplit('.').next() == Some(event_type);
        let mut found = self.named.iter().filter(|(name, _)| short(name)).map(|(_, schema)| schema).filter(is_record);
        found.next().filter(|_| found.next().is_none())
    }

    /// Checks that `path` is a field below `schema`; the error says where the path leaves the schema.
    pub(crate) fn follow<'s>(&'s self, schema: &'s Schema, path: &[String]) -> Result<(), MissingField<'s>> {
        let Some((name, rest)) = path.split_first() else { return Ok(()) };
        match schema {
            Schema::Record(record) => {
                let field = record.fields.iter().find(|field| field.name == *name);
                let names = || MissingField {
                    depth: path.len(),
                    known: record.fields.iter().map(|field| field.name.as_str()).collect(),
                    is_certain: true,
                };
                self.follow(&field.ok_or_else(names)?.schema, rest)
            }
            Schema::Map(map) => self.follow(&map.types, rest),
            Schema::Array(array) if is_element(name) => self.follow(&array.items, rest),
            Schema::Union(union) => self.follow_any(union.variants(), path),
            Schema::Ref { name } => {
                self.named.get(&name.fullname(None)).map_or(Ok(()), |schema| self.follow(schema, path))
            }
            // Scalars have no fields.
            _ => Err(MissingField { depth: path.len(), known: Vec::new(), is_certain: true }),
        }
    }

    /// What the value at `path` can be that not every place takes: null if it may be, else a list or a map if it is
    /// nothing else.
    pub(crate) fn unfit(&self, schema: &Schema, path: &[String]) -> Option<UnfitKind> {
        let kinds = self.kinds(schema, path, MAX_LEVELS);
        if kinds.contains(&Some(UnfitKind::Null)) {
            return Some(UnfitKind::Null);
        }
        let first = kinds.first().copied().flatten()?;
        kinds.iter().all(|kind| *kind == Some(first)).then_some(first)
    }

    /// What the value at `path` can be: `None` for what every place takes.
    fn kinds(&self, schema: &Schema, path: &[String], levels: usize) -> Vec<Option<UnfitKind>> {
        let Some(levels) = levels.checked_sub(1) else { return vec![None] };
        match (schema, path.split_first()) {
            (Schema::Union(union), _) => {
                union.variants().iter().flat_map(|variant| self.kinds(variant, path, levels)).collect()
            }
            (Schema::Ref { name }, _) => {
                self.named.get(&name.fullname(None)).map_or(vec![None], |schema| self.kinds(schema, path, levels))
            }
            (Schema::Null, None) => vec![Some(UnfitKind::Null)],
            (Schema::Array(_), None) => vec![Some(UnfitKind::List)],
            (Schema::Record(_) | Schema::Map(_), None) => vec![Some(UnfitKind::Map)],
            (Schema::Record(record), Some((name, rest))) => {
                let field = record.fields.iter().find(|field| field.name == *name);
                field.map_or_else(Vec::new, |field| self.kinds(&field.schema, rest, levels))
            }
            // A macro goes through the keys of a map.
            (Schema::Map(_), Some((name, _))) if is_element(name) => vec![None],
            (Schema::Map(map), Some((_, rest))) => self.kinds(&map.types, rest, levels),
            (Schema::Array(array), Some((_, rest))) => self.kinds(&array.items, rest, levels),
            // What is read through null has no value at all.
            (Schema::Null, Some(_)) => Vec::new(),
            // Every other schema is of a scalar.
            _ => vec![None],
        }
    }

    /// Of which kinds the value at `path` is, in JSON; `None`: it may be anything.
    pub(crate) fn kinds_of(&self, schema: &Schema, path: &[String]) -> Option<Vec<ValueKind>> {
        self.kinds_within(schema, path, MAX_LEVELS)
    }

    fn kinds_within(&self, schema: &Schema, path: &[String], levels: usize) -> Option<Vec<ValueKind>> {
        let levels = levels.checked_sub(1)?;
        match (schema, path.split_first()) {
            (Schema::Union(union), _) => {
                let all: Option<Vec<Vec<ValueKind>>> =
                    union.variants().iter().map(|variant| self.kinds_within(variant, path, levels)).collect();
                all.map(|kinds| kinds.into_iter().flatten().collect())
            }
            (Schema::Ref { name }, _) => self.kinds_within(self.named.get(&name.fullname(None))?, path, levels),
            (Schema::Record(record), Some((name, rest))) => {
                let field = record.fields.iter().find(|field| field.name == *name)?;
                self.kinds_within(&field.schema, rest, levels)
            }
            (Schema::Map(map), Some((name, rest))) if !is_element(name) => self.kinds_within(&map.types, rest, levels),
            (Schema::Array(array), Some((name, rest))) if is_element(name) => {
                self.kinds_within(&array.items, rest, levels)
            }
            // What is read through null has no value at all.
            (Schema::Null, Some(_)) => Some(Vec::new()),
            (Schema::Null, None) => Some(vec![ValueKind::Null]),
            (Schema::Boolean, None) => Some(vec![ValueKind::Truth]),
            (Schema::Int | Schema::Long | Schema::Float | Schema::Double, None) => Some(vec![ValueKind::Number]),
            (Schema::String | Schema::Enum(_), None) => Some(vec![ValueKind::Text]),
            (Schema::Array(_), None) => Some(vec![ValueKind::List]),
            (Schema::Record(_) | Schema::Map(_), None) => Some(vec![ValueKind::Map]),
            // Bytes, decimals and times have several forms in JSON.
            _ => None,
        }
    }

    /// Whether the value at `path` is one of these, and nothing else.
    pub(crate) fn is_integer_or_boolean(&self, schema: &Schema, path: &[String]) -> bool {
        match (schema, path.split_first()) {
            (Schema::Int | Schema::Long | Schema::Boolean, None) => true,
            (Schema::Record(record), Some((name, rest))) => {
                let field = record.fields.iter().find(|field| field.name == *name);
                field.is_some_and(|field| self.is_integer_or_boolean(&field.schema, rest))
            }
            (Schema::Ref { name }, _) if !path.is_empty() => {
                let named = self.named.get(&name.fullname(None));
                named.is_some_and(|schema| self.is_integer_or_boolean(schema, path))
            }
            _ => false,
        }
    }

    /// One variant that has the path is enough; else the variant that has most of it says what it knows.
    fn follow_any<'s>(&'s self, variants: &'s [Schema], path: &[String]) -> Result<(), MissingField<'s>> {
        let mut nearest: Option<MissingField<'s>> = None;
        for variant in variants.iter().filter(|variant| !matches!(variant, Schema::Null)) {
            let Err(missing) = self.follow(variant, path) else { return Ok(()) };
            if nearest.as_ref().is_none_or(|best| missing.depth < best.depth) {
                nearest = Some(missing);
            }
        }
        Err(nearest.unwrap_or(MissingField { depth: path.len(), known: Vec::new(), is_certain: true }))
    }
}

/// The finding for a second file with the schema of one event type: which of the two the engine would use is not
/// defined.
fn second(file: &str, first: &str, event_type: &str) -> CheckFinding {
    let message = format!("{first} is the schema of `{event_type}`, too");
    let help = "keep one of the files, or give one of them another title or name";
    CheckFinding::of_file(Code::BadSchema, FindingSeverity::Error, file, message, help)
}
