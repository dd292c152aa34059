//! The steps of a file, read one by one; what they mean together is proved afterwards.

use super::{
    diagnostic::{Code, FindingCollector, TextSpan},
    draft::StepDraft,
    fallbacks,
    fields::{MapReader, first_line, lead, wrong},
    keys::{CALL, MapSchema, PARALLEL, PUBLISH, UNDO, WAIT},
    model::{CallDefinition, PolicyOverrides, StepAction, UndoDefinition},
    policies,
    spanned::SpannedValue,
    target,
    tree::{YamlNode, YamlValue},
    uses::{AcceptedValues, ExpressionPlace, ExpressionPurpose, ParseContext, QueryPurpose},
    values, wishes, written,
};
use crate::{
    expression::{CelExpression, ValueTemplate},
    policy::RetryPolicy,
};
use serde_json::{Map, Value};
use std::{borrow::Cow, time::Duration};

/// Most steps of a definition.
pub const MAX_STEPS: usize = 200;
/// From here on `saga check` warns.
const WARN_STEPS: usize = 100;

/// The steps under `steps:`, blocks flattened, in the order of the file.
pub(crate) fn read(node: &YamlNode, reading: &mut ParseContext) -> Vec<StepDraft> {
    let YamlValue::List(items) = &node.value else {
        wrong(&mut reading.report, node, "`steps` must be a list").help("begin each step with `- step: name`");
        return Vec::new();
    };
    if items.is_empty() {
        reading.report.error(Code::MissingKey, node.span, "a saga needs a step").help("begin with `- step: name`");
    }
    let mut drafts = Vec::new();
    for (item, node) in items.iter().enumerate() {
        match block(node) {
            Some(steps) => parallel(node, steps, item, &mut drafts, reading),
            None => drafts.extend(step(node, item, drafts.len(), reading)),
        }
    }
    if drafts.is_empty() && !items.is_empty() && !reading.report.has_errors() {
        let help = "write a step into the block, or beside it";
        reading.report.error(Code::MissingKey, lead(node), "a saga needs a step").help(help);
    }
    limit(node, drafts.len(), reading);
    drafts
}

fn limit(node: &YamlNode, count: usize, reading: &mut ParseContext) {
    let span = first_line(&reading.report, lead(node));
    let help = "split the saga: its outcome event can trigger the next one";
    if count > MAX_STEPS {
        let message = format!("{count} steps; at most {MAX_STEPS} are possible");
        reading.report.error(Code::TooManySteps, span, message).help(help);
    } else if count > WARN_STEPS {
        let message = format!("{count} steps; {MAX_STEPS} are the limit");
        reading.report.warning(Code::TooManySteps, span, message).help(help);
    }
}

/// What stands under `parallel`.
fn block(node: &YamlNode) -> Option<&YamlNode> {
    let YamlValue::Map(entries) = &node.value else { return None };
    entries.iter().find(|(key, _)| key.text == "parallel").map(|(_, steps)| steps)
}

fn parallel(node: &YamlNode, steps: &YamlNode, item: usize, drafts: &mut Vec<StepDraft>, reading: &mut ParseContext) {
    MapReader::read(node, &PARALLEL, &mut reading.report);
    let YamlValue::List(steps) = &steps.value else {
        wrong(&mut reading.report, steps, "`parallel` must be a list of steps").help("begin each with `- step: name`");
        return;
    };
    if steps.is_empty() {
        let help = "write a step into it, or remove it";
        reading.report.error(Code::WrongValue, lead(node), "`parallel` is empty").help(help);
    }
    for node in steps {
        if block(node).is_some() {
            let span = first_line(&reading.report, lead(node));
            let help = "give the steps `after: […]` instead, outside of the block";
            reading.report.error(Code::Nesting, span, "`parallel` within `parallel`").help(help);
            continue;
        }
        let Some(draft) = step(node, item, drafts.len(), reading) else { continue };
        if draft.after.is_some() {
            let help = "a step with `after` stands outside of the block";
            reading.report.error(Code::Nesting, draft.name.span, "`after` inside of `parallel`").help(help);
        }
        drafts.push(draft);
    }
}

fn step(node: &YamlNode, item: usize, at: usize, reading: &mut ParseContext) -> Option<StepDraft> {
    let StepKind { shape, others } = kind_of(node, reading)?;
    let node = &without(node, shape, &others);
    let fields = MapReader::read(node, shape, &mut reading.report)?;
    let name = step_name(&fields, at, reading);
    let flag = |key: &str, reading: &mut ParseContext| {
        shape
            .has(key)
            .then(|| fields.flag(key, &mut reading.report))
            .filter(|set| *set)
            .and_then(|_| fields.key_span(key))
    };
    let of_shape = |key: &'static str| Some(key).filter(|key| shape.has(key));
    Some(StepDraft {
        item,
        after: after(&fields, reading),
        condition: condition(&fields, "if", ExpressionPlace::If(at), reading),
        action: action(&fields, shape, at, reading),
        check: of_shape("check").and_then(|key| condition(&fields, key, ExpressionPlace::Check(at), reading)),
        undo: of_shape("undo").and_then(|key| undo(fields.node(key)?, ExpressionPlace::Undo(at), reading)),
        cache: fallbacks::cache(&fields, shape, reading),
        fallback: fallbacks::read(&fields, shape, at, reading),
        optional: flag("optional", reading),
        pivot: flag("pivot", reading),
        read_only: flag("readOnly", reading),
        irreversible: flag("irreversible", reading),
        on_exhausted: of_shape("onExhausted").and_then(|key| fields.key_span(key)),
        timeout: of_shape("timeout").and_then(|key| fields.node(key)).map(|node| node.span),
        target: ["do", "publish"]
            .into_iter()
            .filter_map(of_shape)
            .find_map(|key| fields.node(key))
            .map_or(name.span, |node| node.span),
        undo_target: of_shape("undo").and_then(|key| fields.node(key)).map(undo_target),
        overrides: overrides(&fields, shape, reading),
        name,
    })
}

/// What a step is, and what it says besides that it is, which has been reported.
struct StepKind {
    shape: &'static MapSchema,
    others: Vec<&'static MapSchema>,
}

/// Which kind of step it is, by the key that says what it does.
fn kind_of(node: &YamlNode, reading: &mut ParseContext) -> Option<StepKind> {
    let YamlValue::Map(entries) = &node.value else {
        wrong(&mut reading.report, node, "a step must be a map").help("begin it with `- step: name`");
        return None;
    };
    let kinds = [("do", &CALL), ("wait", &WAIT), ("publish", &PUBLISH)];
    let found: Vec<_> = kinds
        .into_iter()
        .filter_map(|(name, shape)| entries.iter().find(|(key, _)| key.text == name).map(|(key, _)| (key, shape)))
        .collect();
    if let [(first, _), (second, _), ..] = found.as_slice() {
        let message = format!("a step has either `{}` or `{}`", first.text, second.text);
        let finding = reading.report.error(Code::ConflictingKeys, second.span, message);
        finding.related(first.span, "and this").help("write two steps");
    }
    let mut shapes = found.into_iter().map(|(_, shape)| shape);
    Some(StepKind { shape: shapes.next().unwrap_or(&CALL), others: shapes.collect() })
}

/// The step without what only another kind has, so that the rest of it is read as if that were not there.
fn without<'n>(node: &'n YamlNode, shape: &MapSchema, others: &[&MapSchema]) -> Cow<'n, YamlNode> {
    let mut node = Cow::Borrowed(node);
    if !others.is_empty()
        && let YamlValue::Map(entries) = &mut node.to_mut().value
    {
        entries.retain(|(key, _)| shape.has(&key.text) || !others.iter().any(|other| other.has(&key.text)));
    }
    node
}

/// The step's name; one that stands in for it if it has none, which has been reported.
fn step_name(fields: &MapReader<'_>, at: usize, reading: &mut ParseContext) -> SpannedValue<String> {
    let Some(name) = fields.text("step", &mut reading.report) else {
        return SpannedValue { value: format!("step{at}"), span: fields.span };
    };
    if !is_step_name(&name.value) {
        let message = format!("`{}` cannot be the name of a step", name.value);
        let help = format!(
            "write `{}`: a lower-case letter from a to z, then up to 63 letters, digits or `_`",
            camel(&name.value)
        );
        reading.report.error(Code::BadName, name.span, message).help(help);
    }
    name
}

fn is_step_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_')
}

/// `cool-off` as `coolOff`, `größe` as `groesse`.
fn camel(name: &str) -> String {
    let mut upper = false;
    let mut result = String::new();
    for sign in written::in_ascii(name).chars() {
        match sign {
            sign if !sign.is_ascii_alphanumeric() && sign != '_' => upper = !result.is_empty(),
            sign if result.is_empty() && !sign.is_ascii_alphabetic() => {}
            sign if result.is_empty() => result.push(sign.to_ascii_lowercase()),
            sign if std::mem::take(&mut upper) => result.push(sign.to_ascii_uppercase()),
            sign => result.push(sign),
        }
    }
    if result.is_empty() { "stepName".to_owned() } else { result.chars().take(64).collect() }
}

fn after(fields: &MapReader<'_>, reading: &mut ParseContext) -> Option<Vec<SpannedValue<String>>> {
    let node = fields.node("after")?;
    let YamlValue::List(names) = &node.value else {
        wrong(&mut reading.report, node, "`after` must be a list of steps").help("write after: [reserve]");
        return None;
    };
    let name = |node: &YamlNode| {
        super::fields::text(node, &mut reading.report).map(|value| SpannedValue { value, span: node.span })
    };
    Some(names.iter().filter_map(name).collect())
}

fn condition(
    fields: &MapReader<'_>,
    key: &str,
    place: ExpressionPlace,
    reading: &mut ParseContext,
) -> Option<SpannedValue<CelExpression>> {
    let node = fields.node(key)?;
    values::condition(node, place, reading).map(|value| SpannedValue { value, span: node.span })
}

fn action(
    fields: &MapReader<'_>,
    shape: &'static MapSchema,
    at: usize,
    reading: &mut ParseContext,
) -> Option<StepAction> {
    if shape.has("wait") {
        return wait(fields, &mut reading.report).map(StepAction::Wait);
    }
    let place = ExpressionPlace::Do(at);
    let query = if shape.has("do") { query(fields, place) } else { None };
    let with = fields.node("with").and_then(|node| values::body(node, place, query, reading));
    if shape.has("publish") {
        return publish(fields, with, at, reading);
    }
    let target = target::read(&fields.text("do", &mut reading.report)?, place, reading)?;
    Some(StepAction::Call(CallDefinition { target, with }))
}

/// A wait is as long as it says; what people write instead is for an event, an approval or a date.
fn wait(fields: &MapReader<'_>, report: &mut FindingCollector) -> Option<Duration> {
    let node = fields.node("wait")?;
    let is_wish = match &node.value {
        YamlValue::Map(_) | YamlValue::List(_) => true,
        YamlValue::Text(text) => {
            text.contains("${")
                || !text.starts_with(|first: char| first.is_ascii_digit() || "Pp-.".contains(first))
                || is_date(text)
        }
        YamlValue::Null | YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Uint(_) | YamlValue::Float(_) => false,
    };
    if !is_wish {
        return fields.duration("wait", report);
    }
    let span = first_line(report, lead(node));
    let what = match &node.value {
        YamlValue::Text(text) => crate::expression::shorten(text, 40),
        other => other.kind().to_owned(),
    };
    report
        .error(Code::BadDuration, span, format!("a wait must have a fixed length, but this is `{what}`"))
        .help(wishes::WAIT);
    None
}

/// `2026-12-24`, `12:30`, and a date with a time.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, ['-', ':']);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.next().is_some_and(is_number) && parts.next().is_some_and(is_number)
}

/// What `with` is asked for, if it goes into the query of `do`.
fn query(fields: &MapReader<'_>, place: ExpressionPlace) -> Option<QueryPurpose> {
    match &fields.node("do")?.value {
        YamlValue::Text(text) => target::query(text, place),
        YamlValue::Null
        | YamlValue::Bool(_)
        | YamlValue::Int(_)
        | YamlValue::Uint(_)
        | YamlValue::Float(_)
        | YamlValue::List(_)
        | YamlValue::Map(_) => None,
    }
}

fn publish(
    fields: &MapReader<'_>,
    with: Option<ValueTemplate>,
    at: usize,
    reading: &mut ParseContext,
) -> Option<StepAction> {
    let topic = fields.topic("publish", &mut reading.report);
    let event_type = fields.event_type("type", &mut reading.report);
    let key = fields.node("key").and_then(|node| key(node, at, reading));
    let with = with.unwrap_or_else(|| ValueTemplate::Literal(Value::Object(Map::new())));
    Some(StepAction::Publish { topic: topic?.value, event_type: event_type?.value, key, with })
}

/// One value that is not empty, as the broker takes it.
fn key(node: &YamlNode, at: usize, reading: &mut ParseContext) -> Option<ValueTemplate> {
    let template = values::template(
        node,
        ExpressionPurpose { place: ExpressionPlace::Do(at), takes: AcceptedValues::Key },
        reading,
    )?;
    let is_key = match &template {
        ValueTemplate::Whole(_) | ValueTemplate::Text(_) => true,
        ValueTemplate::Literal(Value::String(text)) if written::is_like_expression(text) => {
            written::constant_key(node, text, &mut reading.report);
            return Some(template);
        }
        ValueTemplate::Literal(value) => values::is_key(value),
        ValueTemplate::List(_) | ValueTemplate::Map(_) => false,
    };
    if !is_key {
        let expected = "a key must be a string that is not empty, an integer or a boolean";
        wrong(&mut reading.report, node, expected).help("for example: ${ event.customerId }");
    }
    Some(template)
}

/// The short form is a target, the long one a map.
fn undo(
    node: &YamlNode,
    place: ExpressionPlace,
    reading: &mut ParseContext,
) -> Option<SpannedValue<Option<UndoDefinition>>> {
    let span = first_line(&reading.report, lead(node));
    let undo = match &node.value {
        YamlValue::Text(text) => {
            let target = target::read(&SpannedValue { value: text.clone(), span: node.span }, place, reading);
            target.map(|target| UndoDefinition {
                call: CallDefinition { target, with: None },
                overrides: PolicyOverrides::default(),
            })
        }
        YamlValue::Map(_) => long_undo(node, place, reading),
        YamlValue::Null
        | YamlValue::Bool(_)
        | YamlValue::Int(_)
        | YamlValue::Uint(_)
        | YamlValue::Float(_)
        | YamlValue::List(_) => {
            wrong(&mut reading.report, node, "`undo` must be a command, or a map with `do`").help(target::HELP);
            None
        }
    };
    Some(SpannedValue { value: undo, span })
}

fn long_undo(node: &YamlNode, place: ExpressionPlace, reading: &mut ParseContext) -> Option<UndoDefinition> {
    let fields = MapReader::read(node, &UNDO, &mut reading.report)?;
    let query = query(&fields, place);
    let with = fields.node("with").and_then(|node| values::body(node, place, query, reading));
    let retry = fields.node("retry").and_then(|node| policies::retry(node, &RetryPolicy::undo(), &mut reading.report));
    let attempt_timeout = fields.duration("attemptTimeout", &mut reading.report);
    let overrides = PolicyOverrides { retry, attempt_timeout, ..PolicyOverrides::default() };
    let target = target::read(&fields.text("do", &mut reading.report)?, place, reading)?;
    Some(UndoDefinition { call: CallDefinition { target, with }, overrides })
}

fn undo_target(node: &YamlNode) -> TextSpan {
    let YamlValue::Map(entries) = &node.value else { return node.span };
    entries.iter().find(|(key, _)| key.text == "do").map_or(node.span, |(_, target)| target.span)
}

fn overrides(fields: &MapReader<'_>, shape: &'static MapSchema, reading: &mut ParseContext) -> PolicyOverrides {
    if !shape.has("retry") {
        return PolicyOverrides::default();
    }
    let report = &mut reading.report;
    PolicyOverrides {
        retry: fields.node("retry").and_then(|node| policies::retry(node, &RetryPolicy::standard(), report)),
        attempt_timeout: fields.duration("attemptTimeout", report),
        timeout: fields.duration("timeout", report),
        on_outage: policies::on_outage(fields, report),
        on_exhausted: policies::on_exhausted(fields, report),
    }
}
