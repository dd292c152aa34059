//! Names of members that occur twice in one map. The parser keeps the last of them, and says nothing.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::{collections::BTreeSet, fmt};

/// Number of characters of a name that a message shows.
const SHOWN: usize = 64;

/// Number of members of all maps in `value`, nested ones included.
pub(super) fn count(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.len() + members.values().map(count).sum::<usize>(),
    }
}

/// The first name that occurs twice in one map of a text that is JSON; slow, and asked for only where there is one.
pub(super) fn repeated(text: &[u8]) -> String {
    let mut found = None;
    // It was parsed before.
    drop(DuplicateKeyVisitor(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(text)));
    found.unwrap_or_default().chars().take(SHOWN).collect()
}

/// Visits everything and keeps what it finds first.
struct DuplicateKeyVisitor<'f>(&'f mut Option<String>);

impl<'de> DeserializeSeed<'de> for DuplicateKeyVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DuplicateKeyVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(DuplicateKeyVisitor(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if names.contains(&name) {
                self.0.get_or_insert_with(|| name.clone());
            }
            names.insert(name);
            members.next_value_seed(DuplicateKeyVisitor(self.0))?;
        }
        Ok(())
    }
}
