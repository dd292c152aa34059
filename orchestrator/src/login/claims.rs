//! A JSON object of a token. A name that is there twice is an error: two readers could go by different values.

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value};
use std::fmt;

/// A JSON object in which every name stands once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenObject(pub(super) Map<String, Value>);

impl TokenObject {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A number of seconds; fractions, exponents and negative numbers are none.
    pub(super) fn seconds(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The texts at a path of names: one text, or those of a list.
    pub(super) fn texts(&self, path: &[String]) -> Vec<&str> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        let found = rest.iter().try_fold(self.0.get(first), |at, name| Some(at?.get(name)));
        match found.flatten() {
            Some(Value::String(text)) => text.split(' ').collect(),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for TokenObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TokenObject, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = TokenObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<TokenObject, A::Error> {
        let mut object = Map::new();
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name is there twice"));
            }
        }
        Ok(TokenObject(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Option<TokenObject> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn a_name_that_is_there_twice_is_an_error() {
        assert!(read(r#"{"sub": "a", "exp": 1}"#).is_some());
        assert!(read(r#"{"sub": "a", "sub": "b"}"#).is_none());
        assert!(read("[]").is_none());
    }

    #[test]
    fn texts_are_found_at_a_path() {
        let claims = TokenObject(
            json!({"realm": {"roles": ["a", 1, "b"]}, "scope": "x y"}).as_object().expect("an object").clone(),
        );
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(claims.texts(&path("realm.roles")), ["a", "b"]);
        assert_eq!(claims.texts(&path("scope")), ["x", "y"]);
        assert!(claims.texts(&path("realm.other")).is_empty() && claims.texts(&path("scope.x")).is_empty());
    }

    #[test]
    fn seconds_are_whole_and_not_negative() {
        let seconds = |text: &str| read(&format!("{{\"exp\": {text}}}")).and_then(|claims| claims.seconds("exp"));
        assert_eq!(seconds("1700000000"), Some(1_700_000_000));
        for wrong in ["-1", "1.5", "1.7e9", "\"1700000000\"", "true", "null", "99999999999999999999"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
