//! What a schema says of the trigger's event.

use super::avro::{Missing, Schemas};
use crate::expression::Unfit;
use apache_avro::Schema;

/// The schema of one type of event.
pub(crate) enum EventSchema<'a> {
    /// An Avro record, and the schemas that it refers to.
    Avro(&'a Schemas, &'a Schema),
}

impl<'a> EventSchema<'a> {
    /// The schema of the events of this type, if there is one.
    pub(crate) fn find(schemas: &'a Schemas, event_type: &str) -> Option<EventSchema<'a>> {
        schemas.record(event_type).map(|schema| EventSchema::Avro(schemas, schema))
    }

    /// Whether `path` is a field.
    pub(crate) fn follow(&self, path: &[String]) -> Result<(), Missing<'_>> {
        match self {
            EventSchema::Avro(schemas, schema) => schemas.follow(schema, path),
        }
    }

    /// What the field can be that not every place takes.
    pub(crate) fn unfit(&self, path: &[String]) -> Option<Unfit> {
        match self {
            EventSchema::Avro(schemas, schema) => schemas.unfit(schema, path),
        }
    }
}
