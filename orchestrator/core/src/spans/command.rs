//! Spans of commands: what they waited for, their attempts, and they themselves.

use super::{
    CommandDestination, SagaSpan, SpanAttribute, SpanKind, SpanMarks, SpanTeller, SpanValue,
    marks::{CommandMark, commands},
    text,
};
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest, GuardKind},
    id::CommandId,
    state::{CommandOutcome, CommandPhase, CommandState},
    time::Timestamp,
    trace::SpanKey,
};

impl SpanTeller<'_> {
    pub(super) fn commands(&self, before: &SpanMarks, spans: &mut Vec<SagaSpan>) {
        for command in commands(self.state) {
            let (mark, now) = (before.command(command), self.state.command(command));
            spans.extend(self.wait(command, mark, now));
            spans.extend(self.attempt(command, mark, now));
            spans.extend(self.whole(command, mark, now));
        }
    }

    /// What ended by an attempt that begins.
    fn wait(&self, command: CommandRef, mark: CommandMark, now: &CommandState) -> Option<SagaSpan> {
        let (guard, since) = mark.waits?;
        let CommandPhase::Attempting(_) = now.phase else { return None };
        let (step, direction) = (self.step(command.step).name.as_str(), command.direction);
        let key = SpanKey::Wait { step, direction, attempt: now.attempt };
        let mut span = self.span(command, &key, format!("wait {}", guard.as_str()), since);
        span.attributes.push(waits_for(guard));
        span.attributes.extend(participant(now));
        Some(span)
    }

    fn attempt(&self, command: CommandRef, mark: CommandMark, now: &CommandState) -> Option<SagaSpan> {
        let (attempt, began) = mark.attempt?;
        match &now.phase {
            CommandPhase::Attempting(_) if now.attempt == attempt => return None,
            // A guard took it back before anything of it left.
            CommandPhase::Held { .. } if now.attempt < attempt => return None,
            CommandPhase::Attempting(_)
            | CommandPhase::Held { .. }
            | CommandPhase::Idle
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. }
            | CommandPhase::Settled(_) => {}
        }
        let (step, direction) = (self.step(command.step).name.as_str(), command.direction);
        let (name, kind, sent) = self.sent(command, now);
        let key = SpanKey::Attempt { step, direction, attempt };
        let failure = failure_of_attempt(now);
        let mut span = self.span(command, &key, name, began);
        span.kind = kind;
        span.attributes.push(("saga.attempt".into(), SpanValue::Number(i64::from(attempt))));
        span.attributes.extend(sent);
        let status = failure.and_then(|failure| failure.origin.status());
        span.attributes
            .extend(status.map(|status| ("http.response.status_code".into(), SpanValue::Number(status.into()))));
        Some(failed(span, failure))
    }

    /// The command, guards and retries included.
    fn whole(&self, command: CommandRef, mark: CommandMark, now: &CommandState) -> Option<SagaSpan> {
        let (CommandPhase::Settled(outcome), false) = (&now.phase, mark.is_settled) else { return None };
        let began = now.began_at?;
        let step = self.step(command.step).name.as_str();
        let name = format!("{} {step}", command.direction.as_str());
        let mut span = self.span(command, &self.key(command, now), name, began);
        span.parent = Some(match command.direction {
            CommandDirection::Do => SpanKey::Saga.id(self.state.id),
            CommandDirection::Undo => SpanKey::Compensation.id(self.state.id),
        });
        span.attributes.push(("saga.attempts".into(), SpanValue::Number(i64::from(now.attempt))));
        span.attributes.push(("saga.outcome".into(), text(word(outcome))));
        span.attributes.extend(participant(now));
        Some(failed(span, failure_of(outcome)))
    }

    fn key(&self, command: CommandRef, now: &CommandState) -> SpanKey<'_> {
        let step = self.step(command.step).name.as_str();
        SpanKey::Command { step, direction: command.direction, granted: now.fresh_from }
    }

    fn span(&self, command: CommandRef, key: &SpanKey<'_>, name: String, began: Timestamp) -> SagaSpan {
        let step = self.step(command.step).name.as_str();
        let mut attributes = self.identity();
        attributes
            .extend([("saga.step".into(), text(step)), ("saga.direction".into(), text(command.direction.as_str()))]);
        SagaSpan {
            id: key.id(self.state.id),
            parent: Some(self.key(command, self.state.command(command)).id(self.state.id)),
            is_parent_remote: false,
            kind: SpanKind::Internal,
            name,
            began,
            ended: self.at,
            error: None,
            attributes,
            links: Vec::new(),
        }
    }

    /// Name, kind and attributes of what an attempt sends.
    fn sent(&self, command: CommandRef, now: &CommandState) -> (String, SpanKind, Vec<SpanAttribute>) {
        let step = self.step(command.step).name.clone();
        let id = CommandId { saga: self.state.id, step: step.clone(), direction: command.direction };
        let mut attributes = vec![("saga.command".into(), text(id.to_string()))];
        attributes.extend(participant(now));
        let name = match now.request.as_deref() {
            Some(CommandRequest::Http { participant, method, .. }) => {
                attributes.push(("http.request.method".into(), text(method.as_str())));
                attributes.extend(self.server(participant));
                return (format!("{} {step}", method.as_str()), SpanKind::Client, attributes);
            }
            Some(CommandRequest::Kafka { participant, .. }) => match (self.scene.destination_of)(participant) {
                Some(CommandDestination::Topic(topic)) => topic.to_string(),
                Some(CommandDestination::Server { .. }) | None => participant.clone(),
            },
            Some(CommandRequest::Publish { topic, .. }) => topic.clone(),
            None => return (format!("attempt {step}"), SpanKind::Internal, attributes),
        };
        attributes.extend(sends(&name));
        attributes.push(("messaging.message.id".into(), text(id.to_string())));
        (format!("send {name}"), SpanKind::Producer, attributes)
    }

    /// The server that was called; of several nobody has recorded which one.
    fn server(&self, participant: &str) -> Vec<SpanAttribute> {
        match (self.scene.destination_of)(participant) {
            Some(CommandDestination::Server { host, port }) => {
                vec![("server.address".into(), text(host)), ("server.port".into(), SpanValue::Number(port.into()))]
            }
            Some(CommandDestination::Topic(_)) | None => Vec::new(),
        }
    }
}

/// What is said of a record that is sent to a topic.
pub(super) fn sends(topic: &str) -> [SpanAttribute; 4] {
    [
        ("messaging.system.name".into(), text("kafka")),
        ("messaging.operation.name".into(), text("send")),
        ("messaging.operation.type".into(), text("send")),
        ("messaging.destination.name".into(), text(topic)),
    ]
}

fn waits_for(guard: GuardKind) -> SpanAttribute {
    ("saga.guard".into(), text(guard.as_str()))
}

fn participant(command: &CommandState) -> Option<SpanAttribute> {
    let name = command.request.as_ref()?.participant()?;
    Some(("saga.participant".into(), text(name)))
}

/// The same span, ended by `failure`.
fn failed(span: SagaSpan, failure: Option<&CommandFailure>) -> SagaSpan {
    let Some(failure) = failure else { return span };
    let mut attributes = span.attributes;
    attributes.push(("error.type".into(), text(failure.code.as_str())));
    SagaSpan { error: Some(failure.code.clone()), attributes, ..span }
}

fn failure_of(outcome: &CommandOutcome) -> Option<&CommandFailure> {
    match outcome {
        CommandOutcome::Succeeded | CommandOutcome::Skipped => None,
        CommandOutcome::Rejected(failure) | CommandOutcome::Failed(failure) | CommandOutcome::Unknown(failure) => {
            Some(failure)
        }
    }
}

/// Of the attempt that has just ended.
fn failure_of_attempt(command: &CommandState) -> Option<&CommandFailure> {
    match &command.phase {
        CommandPhase::Settled(outcome) => failure_of(outcome),
        CommandPhase::Idle
        | CommandPhase::Held { .. }
        | CommandPhase::Attempting(_)
        | CommandPhase::Resting { .. }
        | CommandPhase::Sleeping { .. } => command.last_failure.as_ref(),
    }
}

fn word(outcome: &CommandOutcome) -> &'static str {
    match outcome {
        CommandOutcome::Succeeded => "succeeded",
        CommandOutcome::Rejected(_) => "rejected",
        CommandOutcome::Failed(_) => "failed",
        CommandOutcome::Unknown(_) => "unknown",
        CommandOutcome::Skipped => "skipped",
    }
}
