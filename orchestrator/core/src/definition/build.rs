//! From a file's text to a definition.

use super::{
    ParsedDefinition,
    avro::SchemaCatalog,
    business_key,
    diagnostic::{CheckFinding, Code, FindingCollector, TextSpan},
    draft::StepDraft,
    event_schema::EventSchema,
    fallbacks,
    fields::MapReader,
    fit,
    given::EstablishedFacts,
    graph::StepGraph,
    hash,
    headers::{self, HeaderReads},
    json_schema::JsonSchema,
    keys::{DEFINITION, OUTCOME, TRIGGER},
    model::{
        OutcomeEvent, PivotSide, PolicyOverrides, ReplayedRecords, SagaDefinition, StepAction, StepCompensation,
        StepDefinition, TriggerDefinition, TriggerStartPosition,
    },
    names::ExpressionChecker,
    participants::ParticipantCatalog,
    policies, proofs, retention, sensitive,
    spanned::SpannedValue,
    steps, tags, target, tree,
    uses::{ExpressionPlace, ParseContext},
    values,
};
use crate::{id::StepIndex, policy::RetryPolicy, time::Timestamp};
use std::time::Duration;

/// The name that a file gives its saga, whatever else is wrong in it.
pub(super) fn declared_name(text: &str) -> Option<String> {
    let root = tree::read(&mut FindingCollector::new("", text))?;
    let tree::YamlValue::Map(entries) = root.value else { return None };
    entries.into_iter().find_map(|(key, node)| match node.value {
        tree::YamlValue::Text(name) if key.text == "saga" => Some(name),
        _ => None,
    })
}

pub(super) fn parse(
    file: &str,
    text: &str,
    participants: Option<&ParticipantCatalog>,
    schemas: Option<&SchemaCatalog>,
) -> Result<ParsedDefinition, Vec<CheckFinding>> {
    let mut reading = ParseContext::new(file, text);
    let definition = read(text, participants, schemas, &mut reading);
    let refused = reading.report.has_errors();
    let findings = reading.report.into_findings();
    match definition {
        Some(definition) if !refused => Ok(ParsedDefinition { definition, warnings: findings }),
        Some(_) | None => Err(findings),
    }
}

/// What was proved by the rules of its time is not judged by later ones: it only has to say all that a definition says.
pub(super) fn parse_stored(text: &str) -> Result<SagaDefinition, Vec<CheckFinding>> {
    let mut reading = ParseContext::new("stored definition", text);
    let definition = read(text, None, None, &mut reading).filter(|definition| !definition.steps.is_empty());
    definition.ok_or_else(|| reading.report.into_findings())
}

/// A definition while it is read, its expressions among it, with the type of its events, whatever else is wrong in it.
pub(super) fn expressions(file: &str, text: &str) -> (ParseContext, Option<String>) {
    let mut reading = ParseContext::new(file, text);
    let definition = read(text, None, None, &mut reading);
    (reading, definition.and_then(|definition| definition.trigger.event_type))
}

fn read(
    text: &str,
    participants: Option<&ParticipantCatalog>,
    schemas: Option<&SchemaCatalog>,
    reading: &mut ParseContext,
) -> Option<SagaDefinition> {
    let root = tree::read(&mut reading.report)?;
    let fields = MapReader::read(&root, &DEFINITION, &mut reading.report)?;
    let name = saga_name(&fields, reading);
    let description = fields.text("description", &mut reading.report).map(|text| text.value);
    let trigger = trigger(&fields, reading);
    let timeout = fields.node("timeout").map(|node| node.span);
    let timeout =
        fields.duration("timeout", &mut reading.report).zip(timeout).map(|(value, span)| SpannedValue { value, span });
    let retention = retention::read(&fields, &mut reading.report);
    let defaults = defaults(&fields, reading);
    let drafts = fields.node("steps").map(|node| steps::read(node, reading)).unwrap_or_default();
    let output =
        fields.node("output").and_then(|node| values::template(node, ExpressionPlace::Output.anything(), reading));
    let (sensitive, before) = (sensitive::read(&fields, reading), reading.uses.iter().count());
    let tags = tags::read(&fields, reading);
    sensitive::refuse_in_the_open(before, &sensitive, reading);
    let on_completed = outcome(&fields, "onCompleted", trigger.as_ref(), reading);
    let on_compensated = outcome(&fields, "onCompensated", trigger.as_ref(), reading);
    let headers = HeaderReads::of(reading.uses.iter());
    headers::warn_of_credentials(reading.uses.iter(), &mut reading.report);
    if let (Some((_, node)), Some(trigger)) = (key_node(&fields), trigger.as_ref()) {
        let event = trigger.event_type.as_deref().zip(schemas).and_then(|(name, all)| EventSchema::find(all, name));
        business_key::ambiguous(node, trigger, event.as_ref(), &mut reading.report);
    }
    let key = key_node(&fields).map(|(key, _)| key.span);
    let graph = prove(&drafts, trigger.as_ref(), key, timeout.as_ref(), participants, schemas, reading)?;
    Some(SagaDefinition {
        name: name?,
        description,
        hash: hash(text),
        text: text.to_owned(),
        trigger: TriggerDefinition { headers, schema: schema_of(trigger.as_ref(), schemas), ..trigger? },
        timeout: timeout.map(|timeout| timeout.value),
        steps: build_steps(drafts, &graph)?,
        output,
        tags,
        sensitive,
        on_completed,
        on_compensated,
        retention,
        defaults,
    })
}

fn saga_name(fields: &MapReader<'_>, reading: &mut ParseContext) -> Option<String> {
    let name = fields.text("saga", &mut reading.report)?;
    if !target::is_name(&name.value) {
        let message = format!("`{}` cannot be the name of a saga", name.value);
        let help = "letters from a to z, digits, `-`, `_` and `.`, a letter first, at most 128";
        reading.report.error(Code::BadName, name.span, message).help(help);
    }
    Some(name.value)
}

fn defaults(fields: &MapReader<'_>, reading: &mut ParseContext) -> PolicyOverrides {
    let report = &mut reading.report;
    PolicyOverrides {
        retry: fields.node("retry").and_then(|node| policies::retry(node, &RetryPolicy::standard(), report)),
        on_exhausted: policies::on_exhausted(fields, report),
        on_outage: policies::on_outage(fields, report),
        attempt_timeout: None,
        timeout: None,
    }
}

fn trigger(fields: &MapReader<'_>, reading: &mut ParseContext) -> Option<TriggerDefinition> {
    let fields = MapReader::read(fields.node("trigger")?, &TRIGGER, &mut reading.report)?;
    let topic = fields.topic("topic", &mut reading.report);
    let event_type = fields.event_type("type", &mut reading.report);
    let when = fields.node("when").and_then(|node| values::condition(node, ExpressionPlace::When, reading));
    let key = fields.node("key").and_then(|node| business_key::read(node, reading));
    let from = from(&fields, &mut reading.report);
    let replayed = match fields.choice("replayed", &["ignore", "accept"], &mut reading.report) {
        Some("accept") => ReplayedRecords::Accepted,
        Some(_) | None => ReplayedRecords::Ignored,
    };
    let keep_keys = fields.duration("keepKeys", &mut reading.report);
    Some(TriggerDefinition {
        topic: topic?.value,
        event_type: event_type.map(|text| text.value),
        when,
        key: key?,
        from,
        replayed,
        keep_keys,
        headers: HeaderReads::default(),
        schema: None,
    })
}

fn key_node<'f>(fields: &'f MapReader<'_>) -> Option<&'f (tree::YamlKey, tree::YamlNode)> {
    let tree::YamlValue::Map(entries) = &fields.node("trigger")?.value else { return None };
    entries.iter().find(|(key, _)| key.text == "key")
}

/// What records of the trigger are held to.
fn schema_of(trigger: Option<&TriggerDefinition>, schemas: Option<&SchemaCatalog>) -> Option<JsonSchema> {
    schemas?.json(trigger?.event_type.as_deref()?).cloned()
}

fn from(fields: &MapReader<'_>, report: &mut FindingCollector) -> Option<TriggerStartPosition> {
    let text = fields.text("from", report)?;
    Some(match text.value.as_str() {
        "earliest" => TriggerStartPosition::Earliest,
        "latest" => TriggerStartPosition::Latest,
        time => match time.parse::<jiff::Timestamp>() {
            Ok(time) => TriggerStartPosition::Time(Timestamp(time.as_millisecond())),
            Err(_) => {
                let message = format!("`{time}` is not a start position");
                let help = "write earliest, latest, or a time such as 2026-01-01T00:00:00Z";
                report.error(Code::WrongValue, text.span, message).help(help);
                TriggerStartPosition::default()
            }
        },
    })
}

fn outcome(
    fields: &MapReader<'_>,
    key: &str,
    trigger: Option<&TriggerDefinition>,
    reading: &mut ParseContext,
) -> Option<OutcomeEvent> {
    let fields = MapReader::read(fields.node(key)?, &OUTCOME, &mut reading.report)?;
    let topic = fields.topic("publish", &mut reading.report);
    let event_type = fields.event_type("type", &mut reading.report);
    let (topic, event_type) = (topic?, event_type?);
    if trigger.is_some_and(|trigger| triggers(trigger, &topic.value, &event_type.value)) {
        let message = "this event starts the saga again";
        let help = "publish another type, and give the trigger a `type`; or use another topic";
        reading.report.error(Code::TriggersItself, event_type.span, message).help(help);
    }
    Some(OutcomeEvent { topic: topic.value, event_type: event_type.value })
}

/// Whether an event of this type on this topic is one that `trigger` wants, as far as its type says.
fn triggers(trigger: &TriggerDefinition, topic: &str, event_type: &str) -> bool {
    trigger.topic == topic && trigger.event_type.as_deref().is_none_or(|wanted| wanted == event_type)
}

fn prove(
    drafts: &[StepDraft],
    trigger: Option<&TriggerDefinition>,
    key: Option<TextSpan>,
    timeout: Option<&SpannedValue<Duration>>,
    participants: Option<&ParticipantCatalog>,
    schemas: Option<&SchemaCatalog>,
    reading: &mut ParseContext,
) -> Option<StepGraph> {
    let ParseContext { report, uses } = reading;
    if let Some(participants) = participants {
        fit::participants(drafts, participants, report);
    }
    loops(drafts, trigger, report);
    let graph = StepGraph::of(drafts, report);
    proofs::prove(drafts, graph.as_ref(), report);
    fallbacks::prove(drafts, report);
    fit::timeouts(drafts, graph.as_ref(), timeout, participants, report);
    let event_type = trigger.and_then(|trigger| trigger.event_type.as_deref());
    let event = schemas.zip(event_type).and_then(|(schemas, name)| EventSchema::find(schemas, name));
    let given = EstablishedFacts::of(trigger, drafts);
    let when = uses.iter().find(|used| used.at.place == ExpressionPlace::When);
    let names = ExpressionChecker { drafts, graph: graph.as_ref(), event, given, when, key };
    uses.iter().for_each(|used| names.prove(used, report));
    graph
}

/// A published event that triggers the saga again may be meant, with another key; it is rarely.
fn loops(drafts: &[StepDraft], trigger: Option<&TriggerDefinition>, report: &mut FindingCollector) {
    let Some(trigger) = trigger else { return };
    for draft in drafts {
        if let Some(StepAction::Publish { topic, event_type, .. }) = &draft.action
            && triggers(trigger, topic, event_type)
        {
            let message = format!("step `{}` publishes an event that starts this saga again", draft.name.value);
            report.warning(Code::TriggersItself, draft.target, message).help("write a `when` that ends the loop");
        }
    }
}

fn build_steps(drafts: Vec<StepDraft>, graph: &StepGraph) -> Option<Vec<StepDefinition>> {
    drafts.into_iter().enumerate().map(|(at, draft)| build_step(draft, at, graph)).collect()
}

fn build_step(draft: StepDraft, at: usize, graph: &StepGraph) -> Option<StepDefinition> {
    let side = graph.side(at)?;
    let after =
        graph.after[at].iter().map(|step| u16::try_from(*step).ok().map(StepIndex)).collect::<Option<Vec<_>>>()?;
    Some(StepDefinition {
        effects: effects(&draft, side)?,
        name: draft.name.value,
        after,
        condition: draft.condition.map(|condition| condition.value),
        action: draft.action?,
        check: draft.check.map(|check| check.value),
        optional: draft.optional.is_some(),
        pivot: draft.pivot.is_some(),
        side,
        cache: draft.cache.map(|cache| cache.value),
        fallback: draft.fallback.into_iter().map(|fallback| fallback.value).collect(),
        overrides: draft.overrides,
    })
}

fn effects(draft: &StepDraft, side: PivotSide) -> Option<StepCompensation> {
    match (&draft.undo, side) {
        (Some(undo), _) => undo.value.clone().map(StepCompensation::Undo),
        (None, _) if draft.read_only.is_some() || draft.is_wait() => Some(StepCompensation::ReadOnly),
        (None, PivotSide::Before) => draft.irreversible.map(|_: TextSpan| StepCompensation::Irreversible),
        (None, PivotSide::Pivot | PivotSide::After) => Some(StepCompensation::Irreversible),
    }
}
