//! `cache` and `fallback` of a step: reading them, and the proof that they can answer.

use super::{
    diagnostic::{Code, FindingCollector, TextSpan},
    draft::StepDraft,
    fields::{MapReader, first_line, lead, wrong},
    keys::{FAIL, FALLBACK, MapSchema},
    model::{FallbackAnswer, FallbackCondition, FallbackRule},
    spanned::SpannedValue,
    tree::{YamlNode, YamlValue},
    uses::{ExpressionPlace, ParseContext},
    values,
};
use crate::{command::CommandFailure, expression::ValueTemplate};
use std::time::Duration;

/// The keys of which a fallback has one.
const ANSWERS: [&str; 5] = ["cached", "lastKnown", "value", "expression", "fail"];

/// Reads the step's `cache:`, the maximum age of a stored answer, where `shape` has this key.
pub(crate) fn cache(
    fields: &MapReader<'_>,
    shape: &MapSchema,
    reading: &mut ParseContext,
) -> Option<SpannedValue<Duration>> {
    let span = shape.has("cache").then(|| fields.node("cache"))??.span;
    fields.duration("cache", &mut reading.report).map(|value| SpannedValue { value, span })
}

/// The step's `fallback`, by priority. What cannot be read is absent, and has been reported.
pub(crate) fn read(
    fields: &MapReader<'_>,
    shape: &MapSchema,
    at: usize,
    reading: &mut ParseContext,
) -> Vec<SpannedValue<FallbackRule>> {
    let Some(node) = shape.has("fallback").then(|| fields.node("fallback")).flatten() else { return Vec::new() };
    let help = "for example: fallback: [{lastKnown: true}, {value: {score: 50}}]";
    let YamlValue::List(items) = &node.value else {
        wrong(&mut reading.report, node, "`fallback` must be a list").help(help);
        return Vec::new();
    };
    if items.is_empty() {
        reading.report.error(Code::WrongValue, node.span, "`fallback` is empty").help(help);
    }
    items.iter().filter_map(|item| fallback(item, at, reading)).collect()
}

fn fallback(node: &YamlNode, at: usize, reading: &mut ParseContext) -> Option<SpannedValue<FallbackRule>> {
    let fields = MapReader::read(node, &FALLBACK, &mut reading.report)?;
    let span = first_line(&reading.report, lead(node));
    let key = the_one(&fields, span, reading)?;
    let when = match fields.choice("when", &["exhausted", "refused"], &mut reading.report) {
        Some("refused") => FallbackCondition::Refused,
        Some(_) | None => FallbackCondition::Exhausted,
    };
    let answer = answer(&fields, key, at, reading)?;
    Some(SpannedValue { value: FallbackRule { answer, when }, span })
}

/// The one key that says what the fallback answers; none or several are reported.
fn the_one(fields: &MapReader<'_>, span: TextSpan, reading: &mut ParseContext) -> Option<&'static str> {
    let said: Vec<_> = ANSWERS.into_iter().filter_map(|key| Some((key, fields.key_span(key)?))).collect();
    match said.as_slice() {
        [(key, _)] => Some(key),
        [] => {
            let message = format!("a fallback has one of {}", ANSWERS.join(", "));
            reading.report.error(Code::MissingKey, span, message).help("for example: {value: {score: 50}}");
            None
        }
        [(first, _), (second, span), ..] => {
            let message = format!("a fallback has either `{first}` or `{second}`");
            reading
                .report
                .error(Code::ConflictingKeys, *span, message)
                .help("write two items: the engine uses the first that has an answer");
            None
        }
    }
}

fn answer(fields: &MapReader<'_>, key: &str, at: usize, reading: &mut ParseContext) -> Option<FallbackAnswer> {
    let node = fields.node(key)?;
    match key {
        "cached" => fields.duration(key, &mut reading.report).map(FallbackAnswer::Cached),
        "lastKnown" => last_known(fields, node, reading),
        "value" => value(node, reading),
        "expression" => expression(node, at, reading),
        _ => fail(node, reading),
    }
}

fn last_known(fields: &MapReader<'_>, node: &YamlNode, reading: &mut ParseContext) -> Option<FallbackAnswer> {
    if !fields.flag("lastKnown", &mut reading.report) {
        let message = "`lastKnown: false` answers nothing";
        reading.report.error(Code::WrongValue, node.span, message).help("write true, or remove the item");
        return None;
    }
    Some(FallbackAnswer::LastKnown)
}

/// Reads a constant value. A `${` in it is a warning: the author meant an expression.
fn value(node: &YamlNode, reading: &mut ParseContext) -> Option<FallbackAnswer> {
    let value = values::plain(node, &mut reading.report)?;
    if value.to_string().contains("${") {
        let span = first_line(&reading.report, lead(node));
        let help = "write `expression` in place of `value`, if it is to be evaluated";
        reading
            .report
            .warning(Code::LiteralExpression, span, "a `value` is not evaluated: it keeps its `${`")
            .help(help);
    }
    Some(FallbackAnswer::Value(value))
}

fn expression(node: &YamlNode, at: usize, reading: &mut ParseContext) -> Option<FallbackAnswer> {
    let template = values::template(node, ExpressionPlace::Fallback(at).anything(), reading)?;
    if let ValueTemplate::Literal(_) = template {
        let help = "write `${ … }` around what is to be evaluated, or `value` in place of `expression`";
        wrong(&mut reading.report, node, "`expression` must contain a `${ }`").help(help);
        return None;
    }
    Some(FallbackAnswer::Expression(template))
}

fn fail(node: &YamlNode, reading: &mut ParseContext) -> Option<FallbackAnswer> {
    let fields = MapReader::read(node, &FAIL, &mut reading.report)?;
    let code = fields.name("code", &mut reading.report);
    let message = fields.text("message", &mut reading.report).map(|text| text.value).unwrap_or_default();
    Some(FallbackAnswer::Fail(CommandFailure::new(code?.value, message)))
}

/// Reports what can never answer, or must not.
pub(crate) fn prove(drafts: &[StepDraft], report: &mut FindingCollector) {
    for draft in drafts {
        of_pivot(draft, report);
        needs_read_only(draft, report);
        unreachable(draft, report);
    }
}

fn of_pivot(draft: &StepDraft, report: &mut FindingCollector) {
    let said = draft.cache.as_ref().map(|cache| ("cache", cache.span));
    let said = said.or_else(|| draft.fallback.first().map(|first| ("fallback", first.span)));
    if let (Some((key, span)), Some(pivot)) = (said, draft.pivot) {
        let finding = report.error(Code::FallbackOfPivot, span, format!("the pivot cannot have `{key}`"));
        finding
            .related(pivot, "the pivot")
            .help("only the participant can say that the pivot succeeded: remove one of the two");
    }
}

/// What a participant answered before says nothing of effects that were not made.
fn needs_read_only(draft: &StepDraft, report: &mut FindingCollector) {
    if draft.read_only.is_some() || draft.action.is_none() {
        return;
    }
    let cache = draft.cache.as_ref().map(|cache| ("cache", cache.span));
    let remembered = draft.fallback.iter().filter_map(|fallback| match fallback.value.answer {
        FallbackAnswer::Cached(_) => Some(("cached", fallback.span)),
        FallbackAnswer::LastKnown => Some(("lastKnown", fallback.span)),
        FallbackAnswer::Value(_) | FallbackAnswer::Expression(_) | FallbackAnswer::Fail(_) => None,
    });
    for (key, span) in cache.into_iter().chain(remembered) {
        let message = format!("`{key}` gives an answer that belongs to another command, and this step has effects");
        let help = "write `readOnly: true` if it has none; or give a `value`, an `expression` or `fail`";
        report.error(Code::NotReadOnly, span, message).help(help);
    }
}

/// A literal and a failure can always answer, unless the step's `check` looks at the literal. An expression can fail
/// to.
fn unreachable(draft: &StepDraft, report: &mut FindingCollector) {
    let ends = |fallback: &&SpannedValue<FallbackRule>| match fallback.value.answer {
        FallbackAnswer::Value(_) => draft.check.is_none(),
        FallbackAnswer::Fail(_) => true,
        FallbackAnswer::Cached(_) | FallbackAnswer::LastKnown | FallbackAnswer::Expression(_) => false,
    };
    let Some(last) = draft.fallback.iter().position(|fallback| ends(&fallback)) else { return };
    // One that comes first when a guard refuses is reached.
    let reached = |fallback: &&SpannedValue<FallbackRule>| {
        fallback.value.when == FallbackCondition::Refused
            && draft.fallback[last].value.when == FallbackCondition::Exhausted
    };
    for fallback in draft.fallback[last + 1..].iter().filter(|fallback| !reached(fallback)) {
        let finding = report.warning(Code::UnreachableFallback, fallback.span, "this fallback is never reached");
        finding.related(draft.fallback[last].span, "this one always answers").help("change their order, or remove it");
    }
}
