//! Proof that what an expression makes can stand where it is written: no null in a path, and so on. What is not proved
//! here fails while the saga runs, and an operator cannot repair an undo that fails so.

use super::{
    diagnostic::{Code, FindingCollector},
    model::{FallbackAnswer, StepAction},
    names::{self, ExpressionChecker},
    remedy,
    uses::{AcceptedValues, ExpressionPlace, ExpressionUse, QueryPurpose},
};
use crate::expression::{OperatorMismatch, UnfitKind, UnfitRisk, ValueKind, ValueTemplate, element, is_element};
use serde_json::Value;

impl ExpressionChecker<'_> {
    /// Reports what `used` can be and its place does not take.
    pub(super) fn fits(&self, used: &ExpressionUse, report: &mut FindingCollector) {
        let known = self.given.at(used.at.place);
        let doubts = used.expression.doubts(&known, &|path| self.can_be(path, used.at.place));
        if let Some(doubt) = doubts.operands.first() {
            self.null_operand(used, doubt, report);
        } else if let Some(doubt) = doubts.value.iter().find(|doubt| refuses(used.at.takes, doubt.unfit)) {
            match doubt.unfit {
                UnfitKind::Null => self.null(used, doubt, report),
                UnfitKind::Empty | UnfitKind::List | UnfitKind::Map => unfit(used, doubt, report),
            }
        } else if used.expression.reads().is_empty()
            && names::unknown_calls(used).next().is_none()
            && used.expression.wrong_literals().is_empty()
        {
            constant(used, report);
        }
        if self.event.is_none()
            && used.at.place == ExpressionPlace::Key
            && used.expression.path() == Some(vec!["event".to_owned()])
        {
            let message = "an event is usually a map, and a key cannot be a map";
            let span = names::at(report, used, "event");
            report.warning(Code::UnfitValue, span, message).help("read one value of it: event.orderId");
        }
    }

    /// Reports operators that take nothing of what they are given, and conditions that are none.
    pub(super) fn kinds(&self, used: &ExpressionUse, report: &mut FindingCollector) -> bool {
        let read = |path: &[String]| self.kinds_of(path);
        let mismatches = used.expression.mismatches(&read);
        if let Some(OperatorMismatch { operator, kinds }) = mismatches.first() {
            let span = names::at(report, used, used.expression.source());
            let wrong: Vec<ValueKind> = match *operator {
                "&&" | "||" => kinds.iter().copied().filter(|kind| *kind != ValueKind::Truth).collect(),
                _ => kinds.clone(),
            };
            let message = format!("`{operator}` does not work with {}", listed(&wrong));
            report.error(Code::UnfitValue, span, message).help(kinds_help(operator, kinds));
            return true;
        }
        let kinds = used.expression.kinds(&read).unwrap_or_default();
        let is_never_true = !kinds.contains(&ValueKind::Truth) && kinds.iter().any(|kind| is_plain(*kind));
        if used.at.takes == AcceptedValues::Truth && is_never_true {
            let span = names::at(report, used, used.expression.source());
            let message = format!("this is {}, but a condition must be true or false", listed(&kinds));
            report
                .error(Code::UnfitValue, span, message)
                .help("compare it: event.amountCents > 0, event.kind == 'order'");
            return true;
        }
        false
    }

    fn kinds_of(&self, path: &[String]) -> Option<Vec<ValueKind>> {
        let (root, rest) = path.split_first()?;
        match (root.as_str(), rest) {
            ("event", rest) => self.event.as_ref()?.kinds(rest).filter(|kinds| !kinds.is_empty()),
            ("record", [field]) if field == "topic" => Some(vec![ValueKind::Text]),
            ("record", [field]) if field == "partition" || field == "offset" => Some(vec![ValueKind::Number]),
            ("record", [field]) if field == "key" || field == "timestamp" => {
                Some(vec![ValueKind::Text, ValueKind::Null])
            }
            ("record", [headers, _]) if headers == "headers" => Some(vec![ValueKind::Text]),
            ("saga", [field]) if field == "id" || field == "name" || field == "key" => Some(vec![ValueKind::Text]),
            ("doId", []) => Some(vec![ValueKind::Text]),
            _ => None,
        }
    }

    fn null_operand(&self, used: &ExpressionUse, doubt: &UnfitRisk, report: &mut FindingCollector) {
        let message = format!("null is an error here, and this can be null: {}", self.why(doubt, used.at.place));
        let remedy = match &doubt.path {
            None => remedy::FindingRemedy::only("write another value in place of `null`, or test for null first"),
            Some(_) => self.null_remedy(used, doubt, report),
        };
        let span = where_in(report, used, doubt);
        remedy.of(if is_of_producer(used, doubt) {
            report.warning(Code::NullInText, span, message)
        } else {
            report.error(Code::NullInText, span, message)
        });
    }

    fn null(&self, used: &ExpressionUse, doubt: &UnfitRisk, report: &mut FindingCollector) {
        let why = self.why(doubt, used.at.place);
        let remedy = self.null_remedy(used, doubt, report);
        let span = where_in(report, used, doubt);
        let message = match used.at.takes {
            AcceptedValues::Query(_) => format!("this can be null, and the query then lacks the parameter: {why}"),
            takes => format!("this can be null, but {} does not accept null: {why}", place(takes)),
        };
        let finding = match used.at.takes {
            AcceptedValues::Query(QueryPurpose::Read) => report.warning(Code::NullInText, span, message),
            _ if is_of_producer(used, doubt) => report.warning(Code::NullInText, span, message),
            AcceptedValues::Query(QueryPurpose::Remove)
            | AcceptedValues::Anything
            | AcceptedValues::Truth
            | AcceptedValues::Text
            | AcceptedValues::Path
            | AcceptedValues::Key => report.error(Code::NullInText, span, message),
        };
        remedy.of(finding);
    }

    fn null_remedy(&self, used: &ExpressionUse, doubt: &UnfitRisk, report: &FindingCollector) -> remedy::FindingRemedy {
        match &doubt.path {
            None => remedy::without_null(used, &self.around(), report),
            Some(path) => {
                let guard = names::askable(path).map(|text| format!("{text} != null"));
                remedy::guarded(used, guard.as_deref(), &self.around(), report)
            }
        }
    }

    fn why(&self, doubt: &UnfitRisk, place: ExpressionPlace) -> String {
        let Some(path) = &doubt.path else { return "one of its values is `null`".to_owned() };
        let read = names::text(path);
        match (path[0].as_str(), place) {
            ("result", _) => "`result` is null after an unknown outcome".to_owned(),
            ("event", _) => format!("by its schema `{read}` can be null"),
            ("record", _) => format!("a record can come without a {}", path.last().map_or("", String::as_str)),
            ("input", _) => format!("the step's input `{read}` can be null"),
            _ => format!("`{read}` can be null"),
        }
    }

    /// What a path can be that not every place takes; `None`: nothing is known against it.
    fn can_be(&self, path: &[String], place: ExpressionPlace) -> Option<UnfitKind> {
        let (root, rest) = path.split_first()?;
        match (root.as_str(), rest) {
            ("event", rest) => self.event.as_ref().and_then(|event| event.unfit(rest)),
            ("record", [field]) => names::of_record(field),
            ("record" | "saga" | "steps", []) => Some(UnfitKind::Map),
            ("steps", [name]) => self.result_of(name),
            ("result", []) if matches!(place, ExpressionPlace::Undo(_)) => Some(UnfitKind::Null),
            ("input", rest) => self.input_of(place, rest),
            _ => None,
        }
    }

    /// What waits or publishes has no result, and a fallback may be null.
    fn result_of(&self, name: &str) -> Option<UnfitKind> {
        let draft = self.drafts.iter().find(|draft| draft.name.value == name)?;
        let is_null = match draft.action.as_ref()? {
            StepAction::Wait(_) | StepAction::Publish { .. } => true,
            StepAction::Call(_) => draft.fallback.iter().any(|fallback| match &fallback.value.answer {
                FallbackAnswer::Value(value) => value.is_null(),
                FallbackAnswer::Cached(_)
                | FallbackAnswer::LastKnown
                | FallbackAnswer::Expression(_)
                | FallbackAnswer::Fail(_) => false,
            }),
        };
        is_null.then_some(UnfitKind::Null)
    }

    /// What the step was sent is what its `with` makes.
    fn input_of(&self, place: ExpressionPlace, path: &[String]) -> Option<UnfitKind> {
        let at = names::step_of(place)?;
        let with = match self.drafts[at].action.as_ref()? {
            StepAction::Call(call) => call.with.as_ref(),
            StepAction::Publish { with, .. } => Some(with),
            StepAction::Wait(_) => None,
        };
        let Some(with) = with else { return path.is_empty().then_some(UnfitKind::Map) };
        self.of_template(with, path, ExpressionPlace::Do(at))
    }

    fn of_template(&self, template: &ValueTemplate, path: &[String], place: ExpressionPlace) -> Option<UnfitKind> {
        match (template, path.split_first()) {
            (ValueTemplate::Literal(value), _) => of_literal(value, path),
            (ValueTemplate::Whole(expression), _) => {
                let known = self.given.at(place);
                let doubts = expression.doubts_at(path, &known, &|path| self.can_be(path, place));
                doubts.first().map(|doubt| doubt.unfit)
            }
            (ValueTemplate::List(items), Some((name, rest))) => {
                self.of_template(items.get(element(name)??)?, rest, place)
            }
            (ValueTemplate::Map(entries), Some((name, rest))) => {
                let (_, inner) = entries.iter().find(|(key, _)| key == name)?;
                self.of_template(inner, rest, place)
            }
            (ValueTemplate::List(_), None) => Some(UnfitKind::List),
            (ValueTemplate::Map(_), None) => Some(UnfitKind::Map),
            (ValueTemplate::Text(_), _) => None,
        }
    }
}

/// Null, lists and maps have findings of their own.
fn is_plain(kind: ValueKind) -> bool {
    match kind {
        ValueKind::Number | ValueKind::Text | ValueKind::Bytes | ValueKind::Time | ValueKind::Span => true,
        ValueKind::Truth | ValueKind::List | ValueKind::Map | ValueKind::Null => false,
    }
}

/// The kinds as words of a message: `a text and a number`.
fn listed(kinds: &[ValueKind]) -> String {
    let mut said: Vec<String> = Vec::new();
    let is_fault = |kind: &&ValueKind| kinds.len() == 1 || **kind != ValueKind::Null;
    for kind in kinds.iter().filter(is_fault).map(ToString::to_string) {
        if !said.contains(&kind) {
            said.push(kind);
        }
    }
    said.join(" and ")
}

fn kinds_help(operator: &str, kinds: &[ValueKind]) -> &'static str {
    let has = |kind: ValueKind| kinds.contains(&kind);
    match operator {
        "&&" | "||" | "!" | "? :" => {
            "compare it: event.amountCents > 0; for another value in place of one that is missing write has(event.a) \
                ? event.a : 'x'"
        }
        _ if has(ValueKind::Text) && has(ValueKind::Number) => {
            "write string(x) to join strings, int(x) or double(x) to compute"
        }
        _ => "compute with two values of the same type",
    }
}

/// Whether it is the record that has none, before a saga has started: it goes to the dead letters and hinders no saga.
fn is_of_producer(used: &ExpressionUse, doubt: &UnfitRisk) -> bool {
    let is_record = doubt.path.as_ref().is_some_and(|path| path[0] == "record");
    is_record && matches!(used.at.place, ExpressionPlace::When | ExpressionPlace::Key)
}

fn of_literal(value: &Value, path: &[String]) -> Option<UnfitKind> {
    let value = path.iter().try_fold(value, |value, name| match element(name) {
        Some(at) => value.get(at?),
        None => value.get(name),
    })?;
    match value {
        Value::Null => Some(UnfitKind::Null),
        Value::Array(_) => Some(UnfitKind::List),
        Value::Object(_) => Some(UnfitKind::Map),
        Value::String(text) => text.is_empty().then_some(UnfitKind::Empty),
        Value::Bool(_) | Value::Number(_) => None,
    }
}

fn refuses(takes: AcceptedValues, unfit: UnfitKind) -> bool {
    match (takes, unfit) {
        (AcceptedValues::Anything, _) => false,
        (AcceptedValues::Query(_), unfit) => unfit == UnfitKind::Null,
        (AcceptedValues::Truth | AcceptedValues::Path | AcceptedValues::Key, _) => true,
        (AcceptedValues::Text, unfit) => unfit != UnfitKind::Empty,
    }
}

/// What a place is called in messages.
fn place(takes: AcceptedValues) -> &'static str {
    match takes {
        AcceptedValues::Anything => "a value",
        AcceptedValues::Truth => "a condition",
        AcceptedValues::Text => "text around a value",
        AcceptedValues::Path => "a path",
        AcceptedValues::Key => "a key",
        AcceptedValues::Query(_) => "a query",
    }
}

fn unfit(used: &ExpressionUse, doubt: &UnfitRisk, report: &mut FindingCollector) {
    let (what, help) = match doubt.unfit {
        UnfitKind::Null => ("null", "write a value"),
        UnfitKind::Empty => ("an empty string", "write a string that is not empty in its place"),
        UnfitKind::List => ("a list", "read one value of it, or its size(…)"),
        UnfitKind::Map => ("a map", "read one value of it"),
    };
    let remedy = match (used.at.takes, used.at.place, doubt.unfit) {
        (AcceptedValues::Path, ExpressionPlace::Undo(_), UnfitKind::Empty) => remedy::by_command(used, report),
        _ => remedy::FindingRemedy::only(help),
    };
    let message = match used.at.takes {
        AcceptedValues::Truth => format!("this can be {what}, but a condition must be true or false"),
        takes => format!("this can be {what}, but {} does not accept that", place(takes)),
    };
    remedy.of(report.error(Code::UnfitValue, where_in(report, used, doubt), message));
}

/// What reads nothing has the same value always, or none.
fn constant(used: &ExpressionUse, report: &mut FindingCollector) {
    let scope = crate::expression::ExpressionScope::default();
    let value = match used.at.takes {
        AcceptedValues::Truth => used.expression.evaluate_bool(&scope).map(Value::Bool),
        AcceptedValues::Anything
        | AcceptedValues::Text
        | AcceptedValues::Path
        | AcceptedValues::Key
        | AcceptedValues::Query(_) => used.expression.evaluate(&scope),
    };
    let why = match value {
        Ok(value) if value.to_string().contains("\\u0000") => Some("a stored string cannot contain NUL".to_owned()),
        Ok(_) => None,
        Err(error) => Some(error.message),
    };
    if let Some(why) = why {
        let span = names::at(report, used, used.expression.source());
        let message = format!("this expression never has a value: {why}");
        report
            .error(Code::Expression, span, message)
            .help("write the value that you mean, or an expression that reads data");
    }
}

fn where_in(report: &FindingCollector, used: &ExpressionUse, doubt: &UnfitRisk) -> super::diagnostic::TextSpan {
    let word = match (&doubt.path, doubt.unfit) {
        (Some(path), _) => path.iter().rev().find(|name| !is_element(name)).map(String::as_str),
        (None, UnfitKind::Null) => Some("null"),
        (None, UnfitKind::Empty | UnfitKind::List | UnfitKind::Map) => None,
    };
    names::at(report, used, word.unwrap_or(used.expression.source()))
}
