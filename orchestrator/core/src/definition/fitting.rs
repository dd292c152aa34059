//! Proof that what an expression makes can stand where it is written: no null in a path, and so on. What is not proved here fails while the saga
//! runs, and an undo that fails so can be mended by nobody.

use super::{
    diagnostic::{Code, Report},
    model::{Action, FallbackAnswer},
    names::{self, Names},
    remedy,
    uses::{Asked, Place, Takes, Use},
};
use crate::expression::{Doubt, Kind, Mismatch, Template, Unfit, element, is_element};
use serde_json::Value;

impl Names<'_> {
    /// Reports what `used` can be and its place does not take.
    pub(super) fn fits(&self, used: &Use, report: &mut Report) {
        let known = self.given.at(used.at.place);
        let doubts = used.expression.doubts(&known, &|path| self.can_be(path, used.at.place));
        if let Some(doubt) = doubts.operands.first() {
            self.null_operand(used, doubt, report);
        } else if let Some(doubt) = doubts.value.iter().find(|doubt| refuses(used.at.takes, doubt.unfit)) {
            match doubt.unfit {
                Unfit::Null => self.null(used, doubt, report),
                Unfit::Empty | Unfit::List | Unfit::Map => unfit(used, doubt, report),
            }
        } else if used.expression.reads().is_empty()
            && names::unknown_calls(used).next().is_none()
            && used.expression.wrong_literals().is_empty()
        {
            constant(used, report);
        }
        if self.event.is_none()
            && used.at.place == Place::Key
            && used.expression.path() == Some(vec!["event".to_owned()])
        {
            let message = "an event is a map as a rule, which a key does not take";
            let span = names::at(report, used, "event");
            report.warning(Code::UnfitValue, span, message).help("read one value of it: event.orderId");
        }
    }

    /// Reports operators that take nothing of what they are given, and conditions that are none.
    pub(super) fn kinds(&self, used: &Use, report: &mut Report) -> bool {
        let read = |path: &[String]| self.kinds_of(path);
        let mismatches = used.expression.mismatches(&read);
        if let Some(Mismatch { operator, kinds }) = mismatches.first() {
            let span = names::at(report, used, used.expression.source());
            let wrong: Vec<Kind> = match *operator {
                "&&" | "||" => kinds.iter().copied().filter(|kind| *kind != Kind::Truth).collect(),
                _ => kinds.clone(),
            };
            let message = format!("`{operator}` never takes {}", listed(&wrong));
            report.error(Code::UnfitValue, span, message).help(kinds_help(operator, kinds));
            return true;
        }
        let kinds = used.expression.kinds(&read).unwrap_or_default();
        let is_never_true = !kinds.contains(&Kind::Truth) && kinds.iter().any(|kind| is_plain(*kind));
        if used.at.takes == Takes::Truth && is_never_true {
            let span = names::at(report, used, used.expression.source());
            let message = format!("this is {}, and a condition is true or false", listed(&kinds));
            report
                .error(Code::UnfitValue, span, message)
                .help("compare it: event.amountCents > 0, event.kind == 'order'");
            return true;
        }
        false
    }

    fn kinds_of(&self, path: &[String]) -> Option<Vec<Kind>> {
        let (root, rest) = path.split_first()?;
        match (root.as_str(), rest) {
            ("event", rest) => self.event.as_ref()?.kinds(rest).filter(|kinds| !kinds.is_empty()),
            ("record", [field]) if field == "topic" => Some(vec![Kind::Text]),
            ("record", [field]) if field == "partition" || field == "offset" => Some(vec![Kind::Number]),
            ("record", [field]) if field == "key" || field == "timestamp" => Some(vec![Kind::Text, Kind::Null]),
            ("record", [headers, _]) if headers == "headers" => Some(vec![Kind::Text]),
            ("saga", [field]) if field == "id" || field == "name" || field == "key" => Some(vec![Kind::Text]),
            ("doId", []) => Some(vec![Kind::Text]),
            _ => None,
        }
    }

    fn null_operand(&self, used: &Use, doubt: &Doubt, report: &mut Report) {
        let message = format!("this can be null where null is an error: {}", self.why(doubt, used.at.place));
        let remedy = match &doubt.path {
            None => remedy::Remedy::only("write a value in place of `null` that can stand there, or ask for it before"),
            Some(_) => self.null_remedy(used, doubt, report),
        };
        let span = where_in(report, used, doubt);
        remedy.of(if is_of_producer(used, doubt) {
            report.warning(Code::NullInText, span, message)
        } else {
            report.error(Code::NullInText, span, message)
        });
    }

    fn null(&self, used: &Use, doubt: &Doubt, report: &mut Report) {
        let why = self.why(doubt, used.at.place);
        let remedy = self.null_remedy(used, doubt, report);
        let span = where_in(report, used, doubt);
        let message = match used.at.takes {
            Takes::Query(_) => format!("this can be null, and null is left out of the query: {why}"),
            takes => format!("this can be null, and {} takes no null: {why}", place(takes)),
        };
        let finding = match used.at.takes {
            Takes::Query(Asked::Read) => report.warning(Code::NullInText, span, message),
            _ if is_of_producer(used, doubt) => report.warning(Code::NullInText, span, message),
            Takes::Query(Asked::Remove) | Takes::Anything | Takes::Truth | Takes::Text | Takes::Path | Takes::Key => {
                report.error(Code::NullInText, span, message)
            }
        };
        remedy.of(finding);
    }

    fn null_remedy(&self, used: &Use, doubt: &Doubt, report: &Report) -> remedy::Remedy {
        match &doubt.path {
            None => remedy::without_null(used, &self.around(), report),
            Some(path) => {
                let guard = names::askable(path).map(|text| format!("{text} != null"));
                remedy::guarded(used, guard.as_deref(), &self.around(), report)
            }
        }
    }

    fn why(&self, doubt: &Doubt, place: Place) -> String {
        let Some(path) = &doubt.path else { return "`null` is one of its values".to_owned() };
        let read = names::text(path);
        match (path[0].as_str(), place) {
            ("result", _) => "`result` is null after an unknown outcome".to_owned(),
            ("event", _) => format!("by its schema `{read}` can be null"),
            ("record", _) => format!("a record need not have a {}", path.last().map_or("", String::as_str)),
            ("input", _) => format!("what the step is sent as `{read}` can be null"),
            _ => format!("`{read}` can be null"),
        }
    }

    /// What a path can be that not every place takes; `None`: nothing is known against it.
    fn can_be(&self, path: &[String], place: Place) -> Option<Unfit> {
        let (root, rest) = path.split_first()?;
        match (root.as_str(), rest) {
            ("event", rest) => self.event.as_ref().and_then(|event| event.unfit(rest)),
            ("record", [field]) => names::of_record(field),
            ("record" | "saga" | "steps", []) => Some(Unfit::Map),
            ("steps", [name]) => self.result_of(name),
            ("result", []) if matches!(place, Place::Undo(_)) => Some(Unfit::Null),
            ("input", rest) => self.input_of(place, rest),
            _ => None,
        }
    }

    /// What waits or publishes has no result, and a fallback may be null.
    fn result_of(&self, name: &str) -> Option<Unfit> {
        let draft = self.drafts.iter().find(|draft| draft.name.value == name)?;
        let is_null = match draft.action.as_ref()? {
            Action::Wait(_) | Action::Publish { .. } => true,
            Action::Call(_) => draft.fallback.iter().any(|fallback| match &fallback.value.answer {
                FallbackAnswer::Value(value) => value.is_null(),
                FallbackAnswer::Cached(_)
                | FallbackAnswer::LastKnown
                | FallbackAnswer::Expression(_)
                | FallbackAnswer::Fail(_) => false,
            }),
        };
        is_null.then_some(Unfit::Null)
    }

    /// What the step was sent is what its `with` makes.
    fn input_of(&self, place: Place, path: &[String]) -> Option<Unfit> {
        let at = names::step_of(place)?;
        let with = match self.drafts[at].action.as_ref()? {
            Action::Call(call) => call.with.as_ref(),
            Action::Publish { with, .. } => Some(with),
            Action::Wait(_) => None,
        };
        let Some(with) = with else { return path.is_empty().then_some(Unfit::Map) };
        self.of_template(with, path, Place::Do(at))
    }

    fn of_template(&self, template: &Template, path: &[String], place: Place) -> Option<Unfit> {
        match (template, path.split_first()) {
            (Template::Literal(value), _) => of_literal(value, path),
            (Template::Whole(expression), _) => {
                let known = self.given.at(place);
                let doubts = expression.doubts_at(path, &known, &|path| self.can_be(path, place));
                doubts.first().map(|doubt| doubt.unfit)
            }
            (Template::List(items), Some((name, rest))) => self.of_template(items.get(element(name)??)?, rest, place),
            (Template::Map(entries), Some((name, rest))) => {
                let (_, inner) = entries.iter().find(|(key, _)| key == name)?;
                self.of_template(inner, rest, place)
            }
            (Template::List(_), None) => Some(Unfit::List),
            (Template::Map(_), None) => Some(Unfit::Map),
            (Template::Text(_), _) => None,
        }
    }
}

/// Null, lists and maps have findings of their own.
fn is_plain(kind: Kind) -> bool {
    match kind {
        Kind::Number | Kind::Text | Kind::Bytes | Kind::Time | Kind::Span => true,
        Kind::Truth | Kind::List | Kind::Map | Kind::Null => false,
    }
}

/// `a text and a number`
fn listed(kinds: &[Kind]) -> String {
    let mut said: Vec<String> = Vec::new();
    let is_fault = |kind: &&Kind| kinds.len() == 1 || **kind != Kind::Null;
    for kind in kinds.iter().filter(is_fault).map(ToString::to_string) {
        if !said.contains(&kind) {
            said.push(kind);
        }
    }
    said.join(" and ")
}

fn kinds_help(operator: &str, kinds: &[Kind]) -> &'static str {
    let has = |kind: Kind| kinds.contains(&kind);
    match operator {
        "&&" | "||" | "!" | "? :" => {
            "compare it: event.amountCents > 0; for another value in place of one that is missing write has(event.a) ? event.a : 'x'"
        }
        _ if has(Kind::Text) && has(Kind::Number) => "write string(x) to join texts, int(x) or double(x) to compute",
        _ => "compute with two values of one kind",
    }
}

/// Whether it is the record that has none, before a saga has started: it goes to the dead letters and hinders no saga.
fn is_of_producer(used: &Use, doubt: &Doubt) -> bool {
    let is_record = doubt.path.as_ref().is_some_and(|path| path[0] == "record");
    is_record && matches!(used.at.place, Place::When | Place::Key)
}

fn of_literal(value: &Value, path: &[String]) -> Option<Unfit> {
    let value = path.iter().try_fold(value, |value, name| match element(name) {
        Some(at) => value.get(at?),
        None => value.get(name),
    })?;
    match value {
        Value::Null => Some(Unfit::Null),
        Value::Array(_) => Some(Unfit::List),
        Value::Object(_) => Some(Unfit::Map),
        Value::String(text) => text.is_empty().then_some(Unfit::Empty),
        Value::Bool(_) | Value::Number(_) => None,
    }
}

fn refuses(takes: Takes, unfit: Unfit) -> bool {
    match (takes, unfit) {
        (Takes::Anything, _) => false,
        (Takes::Query(_), unfit) => unfit == Unfit::Null,
        (Takes::Truth | Takes::Path | Takes::Key, _) => true,
        (Takes::Text, unfit) => unfit != Unfit::Empty,
    }
}

/// What a place is called in messages.
fn place(takes: Takes) -> &'static str {
    match takes {
        Takes::Anything => "a value",
        Takes::Truth => "a condition",
        Takes::Text => "text around a value",
        Takes::Path => "a path",
        Takes::Key => "a key",
        Takes::Query(_) => "a query",
    }
}

fn unfit(used: &Use, doubt: &Doubt, report: &mut Report) {
    let (what, help) = match doubt.unfit {
        Unfit::Null => ("null", "write a value"),
        Unfit::Empty => ("an empty text", "write a text that is not empty in its place"),
        Unfit::List => ("a list", "read one value of it, or its size(…)"),
        Unfit::Map => ("a map", "read one value of it"),
    };
    let remedy = match (used.at.takes, used.at.place, doubt.unfit) {
        (Takes::Path, Place::Undo(_), Unfit::Empty) => remedy::by_command(used, report),
        _ => remedy::Remedy::only(help),
    };
    let message = match used.at.takes {
        Takes::Truth => format!("this can be {what}, and a condition is true or false"),
        takes => format!("this can be {what}, which {} does not take", place(takes)),
    };
    remedy.of(report.error(Code::UnfitValue, where_in(report, used, doubt), message));
}

/// What reads nothing has the same value always, or none.
fn constant(used: &Use, report: &mut Report) {
    let scope = crate::expression::Scope::default();
    let value = match used.at.takes {
        Takes::Truth => used.expression.evaluate_bool(&scope).map(Value::Bool),
        Takes::Anything | Takes::Text | Takes::Path | Takes::Key | Takes::Query(_) => used.expression.evaluate(&scope),
    };
    let why = match value {
        Ok(value) if value.to_string().contains("\\u0000") => {
            Some("NUL is no part of a text that is stored".to_owned())
        }
        Ok(_) => None,
        Err(error) => Some(error.message),
    };
    if let Some(why) = why {
        let span = names::at(report, used, used.expression.source());
        let message = format!("this never has a value: {why}");
        report.error(Code::Expression, span, message).help("write what it is meant to be, or read something");
    }
}

fn where_in(report: &Report, used: &Use, doubt: &Doubt) -> super::diagnostic::Span {
    let word = match (&doubt.path, doubt.unfit) {
        (Some(path), _) => path.iter().rev().find(|name| !is_element(name)).map(String::as_str),
        (None, Unfit::Null) => Some("null"),
        (None, Unfit::Empty | Unfit::List | Unfit::Map) => None,
    };
    names::at(report, used, word.unwrap_or(used.expression.source()))
}
