//! What a schema says of the trigger's event.

use super::{
    avro::SchemaCatalog,
    json_schema::JsonSchema,
    missing_field::{MissingField, ValueForms},
};
use crate::expression::{UnfitKind, ValueKind};
use apache_avro::Schema;

/// The schema of one type of event.
pub(crate) enum EventSchema<'a> {
    /// An Avro record, and the schemas that it refers to.
    Avro(&'a SchemaCatalog, &'a Schema),
    /// A JSON Schema: records are held to it, so it counts where there is an Avro schema, too.
    Json(&'a JsonSchema),
}

impl<'a> EventSchema<'a> {
    /// The schema of the events of this type, if there is one.
    pub(crate) fn find(schemas: &'a SchemaCatalog, event_type: &str) -> Option<EventSchema<'a>> {
        let avro = || schemas.record(event_type).map(|schema| EventSchema::Avro(schemas, schema));
        schemas.json(event_type).map(EventSchema::Json).or_else(avro)
    }

    /// Whether `path` is a field.
    pub(crate) fn follow(&self, path: &[String]) -> Result<(), MissingField<'_>> {
        match self {
            EventSchema::Avro(schemas, schema) => schemas.follow(schema, path),
            EventSchema::Json(schema) => schema.follow(path),
        }
    }

    /// What the field can be that not every place takes.
    pub(crate) fn unfit(&self, path: &[String]) -> Option<UnfitKind> {
        match self {
            EventSchema::Avro(schemas, schema) => schemas.unfit(schema, path),
            EventSchema::Json(schema) => schema.unfit(path),
        }
    }

    /// Of which kinds the value at `path` is; `None`: it may be anything.
    pub(crate) fn kinds(&self, path: &[String]) -> Option<Vec<ValueKind>> {
        match self {
            EventSchema::Avro(schemas, schema) => schemas.kinds_of(schema, path),
            EventSchema::Json(schema) => schema.kinds(path),
        }
    }

    /// In which forms an expression sees the value at `path`; `None`: nothing says it.
    pub(crate) fn forms(&self, path: &[String]) -> Option<ValueForms> {
        match self {
            EventSchema::Avro(schemas, schema) => schemas.forms(schema, path),
            EventSchema::Json(schema) => schema.forms(path),
        }
    }

    /// Whether the value at `path` is an integer or a boolean, and nothing else.
    pub(crate) fn is_integer_or_boolean(&self, path: &[String]) -> bool {
        match self {
            EventSchema::Avro(schemas, schema) => schemas.is_integer_or_boolean(schema, path),
            EventSchema::Json(schema) => schema.is_integer_or_boolean(path),
        }
    }

    /// How many names of `path` lead to the first field that need not be there.
    pub(crate) fn may_be_missing(&self, path: &[String]) -> Option<usize> {
        match self {
            // Every field of a record is there.
            EventSchema::Avro(..) => None,
            EventSchema::Json(schema) => schema.may_be_missing(path),
        }
    }
}
