//! Spans of the saga as a whole: where it stood still, its way back, its outcome event, and it itself.

use super::{
    SagaSpan, SpanAttribute, SpanKind, SpanLink, SpanMarks, SpanTeller, SpanValue, command::sends, marks::commands,
    text,
};
use crate::{
    command::{CommandDirection, CommandRef},
    direct_start::DirectStart,
    event::{CompensationCause, SagaEnd},
    expression::ValueTemplate,
    state::SagaPhase,
    time::Timestamp,
    trace::{SpanId, SpanKey, TraceContext},
};
use serde_json::Value;

/// Bytes of a tag's text.
const TAG_BYTES: usize = 256;

/// `None` of what is no text, number or truth.
fn tag_value(value: &Value) -> Option<SpanValue> {
    match value {
        Value::String(text) => Some(SpanValue::Text(text[..text.floor_char_boundary(TAG_BYTES)].to_owned())),
        Value::Number(number) => Some(number.as_i64().map_or_else(|| text(number.to_string()), SpanValue::Number)),
        Value::Bool(truth) => Some(text(truth.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl SpanTeller<'_> {
    pub(super) fn course(&self, before: &SpanMarks, spans: &mut Vec<SagaSpan>) {
        let stands_still = matches!(self.state.course, SagaPhase::Parked { .. });
        if let Some(since) = before.parked_since.filter(|_| !stands_still) {
            spans.push(self.part(&SpanKey::Parked(since.0), "parked", since));
        }
        let SagaPhase::Ended(end) = &self.state.course else { return };
        if before.is_ended {
            return;
        }
        spans.extend(before.outcome.as_ref().map(|(topic, since)| self.outcome(topic, *since)));
        spans.extend(self.compensation(end));
        spans.push(self.saga(end));
    }

    fn outcome(&self, topic: &str, since: Timestamp) -> SagaSpan {
        let mut span = self.part(&SpanKey::Outcome, &format!("send {topic}"), since);
        span.kind = SpanKind::Producer;
        span.attributes.extend(sends(topic));
        span
    }

    /// `None` where nothing was to be undone.
    fn compensation(&self, end: &SagaEnd) -> Option<SagaSpan> {
        let undone = commands(self.state).filter(|command| command.direction == CommandDirection::Undo);
        let began = undone.filter_map(|command| self.state.command(command).began_at).min()?;
        let mut span = self.part(&SpanKey::Compensation, "compensate", began);
        if let SagaEnd::Compensated { cause: CompensationCause::Step { step, .. }, .. } = end {
            let command = CommandRef { step: *step, direction: CommandDirection::Do };
            let granted = self.state.command(command).fresh_from;
            let key = SpanKey::Command { step: &self.step(*step).name, direction: CommandDirection::Do, granted };
            span.links.push(self.link(key.id(self.state.id), "cause"));
        }
        Some(span)
    }

    fn saga(&self, end: &SagaEnd) -> SagaSpan {
        let name = format!("saga {}", self.scene.plan.definition.name);
        let mut span = self.part(&SpanKey::Saga, &name, self.state.started_at);
        let context = self.context();
        span.parent = context.parent;
        span.is_parent_remote = context.parent.is_some();
        span.attributes.push(("saga.key".into(), text(&self.state.key)));
        span.attributes.push(("saga.status".into(), text(self.state.status().to_string())));
        span.error = match end {
            SagaEnd::Completed { .. } => None,
            SagaEnd::Compensated { cause, .. } => Some(cause.code().to_owned()),
            SagaEnd::Abandoned { .. } => Some("abandoned".to_owned()),
        };
        span.attributes.extend(span.error.as_ref().map(|code| ("error.type".into(), text(code.as_str()))));
        span.attributes.extend(self.tags());
        span.links.extend(context.parent.map(|parent| self.trigger(parent)));
        span.links.extend(self.forked());
        span
    }

    /// What the definition's `tags` are now. A trace is worth no failure: what has no value is left out.
    fn tags(&self) -> Vec<SpanAttribute> {
        let scope = self.state.scope();
        let tags = self.scene.plan.definition.tags.iter();
        let value = |template: &ValueTemplate| template.render(&scope).ok().and_then(|value| tag_value(&value));
        tags.filter_map(|(name, template)| Some((format!("saga.tag.{name}").into(), value(template)?))).collect()
    }

    /// The record that started the saga.
    fn trigger(&self, parent: SpanId) -> SpanLink {
        let trigger = &self.state.trigger;
        let mut link = self.link(parent, "trigger");
        if DirectStart::of(trigger).is_some() {
            return link;
        }
        link.attributes.extend([
            ("messaging.system.name".into(), text("kafka")),
            ("messaging.destination.name".into(), text(&trigger.topic)),
            ("messaging.destination.partition.id".into(), text(trigger.partition.to_string())),
            ("kafka.offset".into(), SpanValue::Number(trigger.offset)),
        ]);
        link
    }

    /// The saga that this one runs again, which has the same trigger.
    fn forked(&self) -> Option<SpanLink> {
        let from = self.state.forked_from.as_ref()?.saga;
        let own = self.context();
        // Without a trigger's trace each of the two has its own.
        let trace = match own.parent {
            Some(_) => own,
            None => TraceContext::of(from, &crate::trace::traceparent(from, None)),
        };
        Some(SpanLink { trace, ..self.link(SpanKey::Saga.id(from), "rerunOf") })
    }

    fn link(&self, span: SpanId, relation: &str) -> SpanLink {
        SpanLink { trace: self.context(), span, attributes: vec![("saga.link".into(), text(relation))] }
    }

    fn context(&self) -> TraceContext {
        self.state.trace()
    }

    fn part(&self, key: &SpanKey<'_>, name: &str, began: Timestamp) -> SagaSpan {
        SagaSpan {
            id: key.id(self.state.id),
            parent: Some(SpanKey::Saga.id(self.state.id)),
            is_parent_remote: false,
            kind: SpanKind::Internal,
            name: name.to_owned(),
            began,
            ended: self.at,
            error: None,
            attributes: self.identity(),
            links: Vec::new(),
        }
    }
}
