//! In which forms an expression sees what an Avro schema describes.

use super::{MAX_LEVELS, SchemaCatalog};
use crate::{definition::missing_field::ValueForms, expression::is_element};
use apache_avro::Schema;

impl SchemaCatalog {
    /// The forms of the value at `path`; `None`: the schema does not have the path, or nests too deeply.
    pub(crate) fn forms(&self, schema: &Schema, path: &[String]) -> Option<ValueForms> {
        self.forms_within(schema, path, MAX_LEVELS)
    }

    fn forms_within(&self, schema: &Schema, path: &[String], levels: usize) -> Option<ValueForms> {
        let levels = levels.checked_sub(1)?;
        match (schema, path.split_first()) {
            (Schema::Union(union), _) => {
                let found: Vec<ValueForms> =
                    union.variants().iter().filter_map(|variant| self.forms_within(variant, path, levels)).collect();
                (!found.is_empty()).then(|| found.into_iter().flatten().collect())
            }
            (Schema::Ref { name }, _) => self.forms_within(self.named.get(&name.fullname(None))?, path, levels),
            (Schema::Record(record), Some((name, rest))) => {
                let field = record.fields.iter().find(|field| field.name == *name)?;
                self.forms_within(&field.schema, rest, levels)
            }
            (Schema::Map(map), Some((name, rest))) if !is_element(name) => self.forms_within(&map.types, rest, levels),
            (Schema::Array(array), Some((name, rest))) if is_element(name) => {
                self.forms_within(&array.items, rest, levels)
            }
            (_, Some(_)) => None,
            (scalar, None) => Some([form(scalar)].into()),
        }
    }
}

/// As the table in docs/schemas.md has them. A UUID and a symbol are strings like others.
fn form(schema: &Schema) -> &'static str {
    match schema {
        Schema::Null => "null",
        Schema::Boolean => "a boolean",
        Schema::Int | Schema::Long => "an integer",
        Schema::Float | Schema::Double => "a number",
        Schema::String | Schema::Enum(_) | Schema::Uuid(_) => "a string",
        Schema::Bytes | Schema::Fixed(_) => "bytes in base64",
        Schema::Decimal(_) | Schema::BigDecimal => "a decimal",
        Schema::Date => "a date",
        Schema::TimeMillis | Schema::TimeMicros => "a time",
        Schema::TimestampMillis | Schema::TimestampMicros | Schema::TimestampNanos => "an instant",
        Schema::Array(_) => "a list",
        Schema::Map(_) | Schema::Record(_) | Schema::Duration(_) => "a map",
        // What is left are times without a zone.
        _ => "a local time",
    }
}
