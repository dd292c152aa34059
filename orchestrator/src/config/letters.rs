//! `deadLetters`: how dead letters are written, and how long their rows stay.

use super::ConfigValidator;
use saga_core::definition::or_did_you_mean;
use saga_wire::dead_letter::{AddedDialects, LetterDialect};
use std::time::Duration;

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
