//! `deadLetters` and `topics.dlqOf`: how and where dead letters are written, and how long their rows stay.

use super::{ConfigValidator, internal_topics::DLQ_OF, is_own_topic, own_topic};
use saga_core::definition::or_did_you_mean;
use saga_wire::dead_letter::{AddedDialects, LetterDialect};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// The key of the dialects of headers.
pub(super) const HEADERS: &str = "deadLetters.headers";
/// The key of the time that rows stay.
pub(super) const KEEP: &str = "deadLetters.keep";

/// How dead letters are written, and how long their rows stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LetterConfig {
    /// How long a dead letter that ended stays in the table.
    pub keep: Duration,
    /// The dialects of headers besides the engine's own.
    pub dialects: AddedDialects,
}

impl ConfigValidator<'_> {
    pub(super) fn letters(&mut self) -> LetterConfig {
        LetterConfig { keep: self.kept_rows(), dialects: self.dialects() }
    }

    /// The topics of the dead letters of single topics.
    pub(super) fn dlq_of(&mut self) -> BTreeMap<String, String> {
        let Some(said) = &self.layers.dlq_of else { return BTreeMap::new() };
        let Value::Object(topics) = said else {
            let expected =
                "expected topics with the topics of their dead letters, such as `shop.orders: shop.orders.dlq`";
            self.errors.push(format!("{}: `{DLQ_OF}`: {expected}", self.layers.file));
            return BTreeMap::new();
        };
        let mut routes = BTreeMap::new();
        for (origin, said) in topics {
            match said.as_str().filter(|topic| is_own_topic(topic) && topic != origin) {
                Some(topic) => drop(routes.insert(origin.clone(), topic.to_owned())),
                None => {
                    let expected = format!("expected {}, and another topic than `{origin}`", own_topic());
                    self.errors.push(format!(
                        "{}: `{DLQ_OF}.{origin}` is `{}`: {expected}",
                        self.layers.file,
                        shown(said)
                    ));
                }
            }
        }
        routes
    }

    fn kept_rows(&mut self) -> Duration {
        let bounds = Duration::from_secs(3600)..=Duration::from_secs(10 * 366 * 24 * 3600);
        self.checked(KEEP, "30d", "a time from 1h to 3660d, like `30d`", |text| {
            saga_core::definition::span(text).ok().filter(|span| bounds.contains(span))
        })
    }

    fn dialects(&mut self) -> AddedDialects {
        let Some(said) = self.layers.get(HEADERS) else { return AddedDialects::default() };
        let names = || LetterDialect::ALL.iter().map(|dialect| dialect.as_str());
        let read = |name: &str| {
            let wrong = || {
                let guess = or_did_you_mean(name, names());
                format!("{}: `{HEADERS}` has `{name}`: expected saga, spring or kafkaConnect{guess}", said.source)
            };
            LetterDialect::parse(name).ok_or_else(wrong)
        };
        let (known, wrong): (Vec<_>, Vec<_>) =
            said.value.split(',').map(|name| read(name.trim())).partition(Result::is_ok);
        self.errors.extend(wrong.into_iter().filter_map(Result::err));
        known.into_iter().filter_map(Result::ok).collect()
    }
}

fn shown(said: &Value) -> String {
    said.as_str().map_or_else(|| said.to_string(), str::to_owned)
}
