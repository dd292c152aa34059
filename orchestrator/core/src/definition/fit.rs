//! Proof that a definition fits its timeouts and its participants.

use super::{
    diagnostic::{Code, FindingCollector, TextSpan, did_you_mean},
    draft::StepDraft,
    duration,
    graph::StepGraph,
    model::{CallTarget, ParticipantSelector, StepAction, TransportKind},
    participants::{ParticipantCatalog, TransportConfig},
    spanned::SpannedValue,
};
use std::time::Duration;

/// Reports a saga timeout that the longest path of waits and first attempts exceeds, where the graph is known, and step
/// timeouts below one attempt.
pub(crate) fn timeouts(
    drafts: &[StepDraft],
    graph: Option<&StepGraph>,
    timeout: Option<&SpannedValue<Duration>>,
    participants: Option<&ParticipantCatalog>,
    report: &mut FindingCollector,
) {
    let spans: Vec<Duration> = drafts.iter().map(|draft| longest_attempt(draft, participants)).collect();
    for draft in drafts {
        step_timeout(draft, report);
    }
    let (Some(timeout), Some(graph)) = (timeout, graph) else { return };
    let (total, path) = longest_path(graph, &spans);
    if total <= timeout.value {
        return;
    }
    let names = path.iter().map(|step| drafts[*step].name.value.as_str()).collect::<Vec<_>>().join(" → ");
    let message = format!(
        "the saga ends after {}, and {names} may take {}",
        duration::text(timeout.value),
        duration::text(total)
    );
    let help = format!("raise it to more than {}, or shorten waits and attempt timeouts", duration::text(total));
    report.error(Code::TimeoutTooShort, timeout.span, message).help(help);
}

fn step_timeout(draft: &StepDraft, report: &mut FindingCollector) {
    let (Some(all), Some(one)) = (draft.overrides.timeout, draft.overrides.attempt_timeout) else { return };
    if let Some(span) = draft.timeout.filter(|_| one > all) {
        let message = format!(
            "the step ends after {}, before one attempt of {} is over",
            duration::text(all),
            duration::text(one)
        );
        report.error(Code::TimeoutTooShort, span, message).help("make `timeout` at least as long as `attemptTimeout`");
    }
}

/// What a step takes if its first attempt uses all of its time.
fn longest_attempt(draft: &StepDraft, participants: Option<&ParticipantCatalog>) -> Duration {
    let attempt = match &draft.action {
        Some(StepAction::Wait(span)) => return *span,
        Some(StepAction::Call(call)) => {
            let candidates = participants.into_iter().flat_map(|all| all.candidates(&call.target));
            let longest = candidates.map(|participant| participant.timeout).max();
            draft.overrides.attempt_timeout.or(longest).unwrap_or_default()
        }
        Some(StepAction::Publish { .. }) | None => draft.overrides.attempt_timeout.unwrap_or_default(),
    };
    draft.overrides.timeout.map_or(attempt, |timeout| timeout.min(attempt))
}

fn longest_path(graph: &StepGraph, spans: &[Duration]) -> (Duration, Vec<usize>) {
    let mut best: Vec<(Duration, Vec<usize>)> = vec![(Duration::ZERO, Vec::new()); spans.len()];
    for step in &graph.order {
        let longest = graph.after[*step].iter().map(|before| &best[*before]).max_by_key(|(span, _)| *span);
        let (before, mut path) = longest.cloned().unwrap_or_default();
        path.push(*step);
        best[*step] = (before.saturating_add(spans[*step]), path);
    }
    best.into_iter().max_by_key(|(span, _)| *span).unwrap_or_default()
}

/// Reports every participant that is unknown, or asked over the wrong transport.
pub(crate) fn participants(drafts: &[StepDraft], participants: &ParticipantCatalog, report: &mut FindingCollector) {
    for draft in drafts {
        if let Some(StepAction::Call(call)) = &draft.action {
            participant(&call.target, draft.target, participants, report);
        }
        if let (Some(undo), Some(span)) = (draft.undo.as_ref().and_then(|undo| undo.value.as_ref()), draft.undo_target)
        {
            participant(&undo.call.target, span, participants, report);
            same_transport(draft.action.as_ref(), &undo.call.target, span, report);
        }
    }
}

/// An undo by the capability of its do goes to whom the do went to, who is reached in one way.
fn same_transport(action: Option<&StepAction>, undo: &CallTarget, span: TextSpan, report: &mut FindingCollector) {
    let Some(StepAction::Call(call)) = action else { return };
    let (Some(capability), true) = (undo.capability(), undo.whom() == call.target.whom()) else { return };
    if undo.over() == call.target.over() {
        return;
    }
    let message =
        format!("the do calls `capability:{capability}` over {}, its undo over {}", call.target.over(), undo.over());
    let help = "an undo goes to the participant that performed the do: call the same participant as in `do`";
    report.error(Code::WrongTransport, span, message).help(help);
}

fn participant(target: &CallTarget, span: TextSpan, participants: &ParticipantCatalog, report: &mut FindingCollector) {
    let name = match target.whom() {
        ParticipantSelector::Participant(name) => name,
        ParticipantSelector::Capability(name) => return capability(name, target.over(), span, participants, report),
    };
    let Some(participant) = participants.get(name) else {
        let help =
            did_you_mean(name, participants.names()).unwrap_or_else(|| format!("add `{name}` to participants.yaml"));
        report.error(Code::UnknownParticipant, span, format!("there is no participant `{name}`")).help(help);
        return;
    };
    let help = match (target, &participant.transport) {
        (CallTarget::Kafka { .. }, TransportConfig::Kafka { .. })
        | (CallTarget::Http { .. }, TransportConfig::Http { .. }) => return,
        (CallTarget::Kafka { .. }, TransportConfig::Http { .. }) => {
            format!("`{name}` speaks HTTP: write METHOD {name}/path")
        }
        (CallTarget::Http { .. }, TransportConfig::Kafka { .. }) => {
            format!("`{name}` speaks Kafka: write {name}.Command")
        }
    };
    report.error(Code::WrongTransport, span, format!("`{name}` is not called over this transport")).help(help);
}

fn capability(
    name: &str,
    over: TransportKind,
    span: TextSpan,
    participants: &ParticipantCatalog,
    report: &mut FindingCollector,
) {
    if participants.with_capability(name, over).next().is_some() {
        return;
    }
    let other = match over {
        TransportKind::Kafka => TransportKind::Http,
        TransportKind::Http => TransportKind::Kafka,
    };
    let elsewhere: Vec<&str> = participants.with_capability(name, other).map(|(name, _)| name).collect();
    if elsewhere.is_empty() {
        let known = participants.iter().flat_map(|(_, it)| it.capabilities.iter().map(String::as_str));
        let help = did_you_mean(name, known)
            .unwrap_or_else(|| format!("write capabilities: [{name}] at those that have it, in participants.yaml"));
        report.error(Code::UnknownCapability, span, format!("no participant has the capability `{name}`")).help(help);
        return;
    }
    let help = match other {
        TransportKind::Kafka => format!("{} over Kafka: write capability:{name}.Command", elsewhere.join(", ")),
        TransportKind::Http => format!("{} over HTTP: write METHOD capability:{name}/path", elsewhere.join(", ")),
    };
    let message = format!("no participant has the capability `{name}` over {over}");
    report.error(Code::WrongTransport, span, message).help(help);
}
