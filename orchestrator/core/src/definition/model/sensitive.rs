//! Members of payloads that are shown as masks.

use serde_json::Value;

/// What stands for a value that is sensitive.
pub const MASKED: &str = "(masked: sensitive)";

/// Paths of names, each matched wherever it occurs in a payload. Lists on the way are passed through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SensitivePaths(Vec<Vec<String>>);

/// In the stored form of an event, what holds payloads.
const PAYLOADS: [&str; 4] = ["event", "body", "result", "output"];

impl SensitivePaths {
    pub(crate) fn new(paths: Vec<Vec<String>>) -> SensitivePaths {
        SensitivePaths(paths)
    }

    /// Whether nothing is sensitive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is sensitive in one of several definitions.
    #[must_use]
    pub fn union<'a>(all: impl IntoIterator<Item = &'a SensitivePaths>) -> SensitivePaths {
        SensitivePaths(all.into_iter().flat_map(|paths| paths.0.iter().cloned()).collect())
    }

    /// Puts masks into one payload.
    pub fn mask(&self, payload: &mut Value) {
        if !self.is_empty() {
            self.mask_below(payload, &mut Vec::new());
        }
    }

    fn mask_below(&self, value: &mut Value, names: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    names.push(name.clone());
                    if self.is_at_end_of(names) {
                        *member = Value::from(MASKED);
                    } else {
                        self.mask_below(member, names);
                    }
                    names.pop();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_below(item, names)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn is_at_end_of(&self, names: &[String]) -> bool {
        self.0.iter().any(|path| names.ends_with(path))
    }

    /// Puts masks into an event in its stored form, where it has payloads, and into the address of a request.
    pub fn mask_event(&self, data: &mut Value) {
        match data {
            _ if self.is_empty() => {}
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        payload if PAYLOADS.contains(&name.as_str()) => self.mask(payload),
                        Value::String(path) if name == "path" => *path = self.masked_query(path),
                        other => self.mask_event(other),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_event(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// A text with the address of a request in it: what its query sends under the last name of a path is masked.
    #[must_use]
    pub fn masked_query(&self, text: &str) -> String {
        let names = self.0.iter().filter_map(|path| path.last());
        names.fold(text.to_owned(), |text, name| {
            ["?", "&"].iter().fold(text, |text, sign| without_value(&text, &format!("{sign}{name}=")))
        })
    }

    /// The path of which a read of `path` has all names, or which lies below it; `None`: nothing sensitive is read.
    pub(crate) fn read_by(&self, path: &[String]) -> Option<String> {
        let is_within = |one: &&Vec<String>| path.windows(one.len()).any(|names| names == one.as_slice());
        self.0.iter().find(is_within).map(|one| one.join("."))
    }
}

fn without_value(text: &str, start: &str) -> String {
    let Some((before, rest)) = text.split_once(start) else { return text.to_owned() };
    let end = rest.find(|sign: char| sign == '&' || sign.is_whitespace()).unwrap_or(rest.len());
    format!("{before}{start}{MASKED}{}", without_value(&rest[end..], start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(all: &[&str]) -> SensitivePaths {
        SensitivePaths::new(all.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect())
    }

    #[test]
    fn a_path_is_masked_wherever_it_occurs() {
        let mut order = json!({
            "card": {"number": "4711", "kind": "debit"}, "number": 7,
            "lines": [{"card": {"number": 1}}, {"customer": {"iban": ["a", "b"]}}], "iban": {"x": 1}
        });
        paths(&["card.number", "iban"]).mask(&mut order);
        assert_eq!(
            order,
            json!({
                "card": {"number": MASKED, "kind": "debit"}, "number": 7,
                "lines": [{"card": {"number": MASKED}}, {"customer": {"iban": MASKED}}], "iban": MASKED
            })
        );
    }

    #[test]
    fn only_payloads_of_an_event_are_masked() {
        let mut event = json!({
            "name": "order", "key": "k", "trigger": {"key": "k", "event": {"key": "CANARY", "name": "CANARY"}},
            "request": {"http": {"path": "charges?name=CANARY&a=1", "body": {"key": "CANARY"}}}
        });
        paths(&["key", "name"]).mask_event(&mut event);
        assert!(!event.to_string().contains("CANARY"), "{event}");
        assert_eq!((&event["name"], &event["trigger"]["key"]), (&json!("order"), &json!("k")));
    }

    #[test]
    fn the_query_of_an_address_is_masked() {
        let masks = paths(&["customer.iban"]);
        assert_eq!(
            masks.masked_query("asked: GET bank/accounts?iban=DE1&a=2&iban=DE2 again"),
            format!("asked: GET bank/accounts?iban={MASKED}&a=2&iban={MASKED} again")
        );
        assert_eq!(masks.masked_query("GET bank/iban=1"), "GET bank/iban=1");
    }
}
