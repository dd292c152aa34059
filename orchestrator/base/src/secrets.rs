//! The secrets of the running configuration, covered wherever they come back: a participant that repeats the request's
//! `Authorization` in its error message must not bring it into the journal, the log, the API or an event.
//!
//! There is one set for the process, because the log belongs to the process. It only grows: after a reload, calls that
//! were sent before are still answered. Answers pass through [`cover_answer`] where they are read, before anything
//! evaluates, stores or publishes them. Log lines and the errors that end a command pass through [`covered`]. Addresses
//! that are not in the set yet, or never are, pass through [`address_shown`].

mod forms;
mod sources;

pub use sources::{of_participants, of_url};

use aho_corasick::{AhoCorasick, MatchKind};
use saga_core::command::{CommandAnswer, CommandFailure, ErrorClass, FailureOrigin};
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
};

/// Shorter values are not covered: they occur in ordinary texts (`saga`, `4711`), and gaps in those would tell what
/// they are.
pub const SHORTEST: usize = 8;

/// Forms of secrets that are kept, the last remembered ones: a hundred participants with a handful each, and what
/// reloads bring.
const MOST_FORMS: usize = 4096;

/// Forms of secrets that are issued again and again, kept apart from those of the configuration, which they would push
/// out: the last tokens of a hundred participants.
const MOST_ISSUED_FORMS: usize = 2048;

/// Stands for a secret, whatever its length.
const COVER: &str = "***";

/// The forms of all known secrets, and what finds them in a text.
#[derive(Debug, Default)]
struct KnownSecrets {
    forms: VecDeque<String>,
    issued: VecDeque<String>,
    /// `None`: no secret is known.
    finder: Option<AhoCorasick>,
}

static KNOWN: RwLock<Option<Arc<KnownSecrets>>> = RwLock::new(None);

/// Adds values to the set, with the forms in which they travel.
pub fn remember(values: impl IntoIterator<Item = String>) {
    add(values, |known, new| known.and(new));
}

/// The same for secrets that somebody issues to this process again and again, such as tokens.
pub fn remember_issued(values: impl IntoIterator<Item = String>) {
    add(values, |known, new| known.and_issued(new));
}

fn add(values: impl IntoIterator<Item = String>, with: impl FnOnce(&KnownSecrets, &[String]) -> KnownSecrets) {
    let new: Vec<String> = values.into_iter().flat_map(|value| forms::of(&value)).collect();
    if new.is_empty() {
        return;
    }
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let before = known.take().unwrap_or_default();
    *known = Some(Arc::new(with(&before, &new)));
}

/// The text without secrets, and without the beginning of one that a limit has cut off.
#[must_use]
pub fn covered(text: &str) -> Cow<'_, str> {
    match known() {
        Some(known) => known.covered(text),
        None => Cow::Borrowed(text),
    }
}

/// The answer without secrets, as it may be evaluated, stored and shown.
#[must_use]
pub fn cover_answer(answer: CommandAnswer) -> CommandAnswer {
    let Some(known) = known() else { return answer };
    match answer {
        CommandAnswer::Succeeded { result } => CommandAnswer::Succeeded { result: known.value(result) },
        CommandAnswer::Failed { failure, retry, retry_after } => {
            CommandAnswer::Failed { failure: known.failure(&failure), retry, retry_after }
        }
        CommandAnswer::Unknown { failure, retry, retry_after } => {
            CommandAnswer::Unknown { failure: known.failure(&failure), retry, retry_after }
        }
        // With a covered secret the location would name another place; as it is, the secret would be recorded.
        CommandAnswer::Ongoing { location: Some(location), .. } if known.covered(&location) != location => {
            let message = "accepted, and the place to ask holds a secret of the configuration, which is never recorded";
            let failure = CommandFailure::new("answer.location", message).of_origin(FailureOrigin::REPLY);
            CommandAnswer::unknown(failure.of_class(ErrorClass::Unknown))
        }
        CommandAnswer::Ongoing { .. } | CommandAnswer::NotSent { .. } => answer,
    }
}

/// An address, or several, without credentials: without user and password before a host, and without parameters.
#[must_use]
pub fn address_shown(address: &str) -> String {
    let place = address.split_once('?').map_or(address, |(place, _)| place);
    match (place.split_once("://"), place.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) if !scheme.contains('@') => format!("{scheme}://…@{host}"),
        (_, Some((_, host))) => format!("…@{host}"),
        // `host=… password=…`, as other clients take it.
        (None, None) if place.contains('=') => "…".to_owned(),
        (_, None) => place.to_owned(),
    }
}

fn known() -> Option<Arc<KnownSecrets>> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).clone()
}

impl KnownSecrets {
    fn and(&self, new: &[String]) -> KnownSecrets {
        KnownSecrets::of(last(&self.forms, new, MOST_FORMS), self.issued.clone())
    }

    fn and_issued(&self, new: &[String]) -> KnownSecrets {
        KnownSecrets::of(self.forms.clone(), last(&self.issued, new, MOST_ISSUED_FORMS))
    }

    fn of(forms: VecDeque<String>, issued: VecDeque<String>) -> KnownSecrets {
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(forms.iter().chain(&issued));
        let finder = finder.expect("patterns of headers, passwords and tokens are far below its limits");
        KnownSecrets { forms, issued, finder: Some(finder) }
    }

    fn covered<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(finder) = &self.finder else { return Cow::Borrowed(text) };
        let whole = if finder.is_match(text) {
            let mut out = String::with_capacity(text.len());
            finder.replace_all_with(text, &mut out, |_, _, out| {
                out.push_str(COVER);
                true
            });
            Cow::Owned(out)
        } else {
            Cow::Borrowed(text)
        };
        match self.cut_off(&whole) {
            Some(at) => Cow::Owned(format!("{}{COVER}", &whole[..at])),
            None => whole,
        }
    }

    /// Where the beginning of a secret stands at the end of the text.
    fn cut_off(&self, text: &str) -> Option<usize> {
        let text = text.strip_suffix('…').unwrap_or(text).as_bytes();
        self.forms.iter().chain(&self.issued).filter_map(|form| cut_off(text, form.as_bytes())).min()
    }

    fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.covered(&text).into_owned()),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.value(item)).collect()),
            Value::Object(entries) => {
                let entries =
                    entries.into_iter().map(|(key, value)| (self.covered(&key).into_owned(), self.value(value)));
                Value::Object(entries.collect::<Map<_, _>>())
            }
            Value::Number(number) => match self.covered(&number.to_string()) {
                Cow::Borrowed(_) => Value::Number(number),
                Cow::Owned(covered) => Value::String(covered),
            },
            Value::Null | Value::Bool(_) => value,
        }
    }

    fn failure(&self, failure: &CommandFailure) -> CommandFailure {
        CommandFailure {
            code: self.covered(&failure.code).into_owned(),
            message: self.covered(&failure.message).into_owned(),
            origin: failure.origin,
            class: failure.class,
        }
    }
}

/// `known` and `new`, each once, and of them at most the last `most`.
fn last(known: &VecDeque<String>, new: &[String], most: usize) -> VecDeque<String> {
    let kept = known.iter().filter(|form| !new.contains(form)).cloned();
    let mut forms: VecDeque<String> = kept.chain(new.iter().cloned()).collect();
    forms.drain(..forms.len().saturating_sub(most));
    forms
}

fn cut_off(text: &[u8], form: &[u8]) -> Option<usize> {
    let head = form.get(..SHORTEST)?;
    let from = text.len().saturating_sub(form.len() - 1);
    let windows = text[from..].windows(SHORTEST).enumerate();
    let begins = windows.filter(|(_, window)| *window == head).map(|(at, _)| from + at);
    begins.into_iter().find(|at| form.starts_with(&text[*at..]))
}

#[cfg(test)]
mod tests;
