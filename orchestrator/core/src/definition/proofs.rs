//! Proof that a saga can be undone, or is past the point where it has to be.

use super::{
    diagnostic::{Code, FindingCollector, TextSpan},
    draft::StepDraft,
    graph::StepGraph,
    model::{CallTarget, PivotSide, StepAction},
};
use crate::{command::HttpMethod, expression::ExpressionScope, policy::ExhaustionPolicy};

/// Reports every step that contradicts itself or, where the graph is known, its place in it.
pub(crate) fn prove(drafts: &[StepDraft], graph: Option<&StepGraph>, report: &mut FindingCollector) {
    for (at, draft) in drafts.iter().enumerate() {
        conflicts(draft, report);
        constants(draft, report);
        let Some(graph) = graph else { continue };
        match graph.side(at) {
            None => beside(drafts, graph, draft, report),
            Some(PivotSide::Before) => {
                needs_undo(draft, report);
                check_needs_undo(draft, report);
            }
            Some(PivotSide::Pivot) => check_needs_undo(draft, report),
            Some(PivotSide::After) => after(draft, report),
        }
    }
}

fn conflicts(draft: &StepDraft, report: &mut FindingCollector) {
    let said = [
        ("undo", draft.undo.as_ref().map(|undo| undo.span)),
        ("readOnly", draft.read_only),
        ("irreversible", draft.irreversible),
    ];
    let said: Vec<(&str, TextSpan)> = said.into_iter().filter_map(|(key, span)| Some((key, span?))).collect();
    if let [(first, _), (second, span), ..] = said.as_slice() {
        let message = format!("`{first}` and `{second}` contradict each other");
        let help = "`undo`: effects that can be undone; `readOnly`: no effects; `irreversible`: effects that cannot be undone. Keep one";
        report.error(Code::ConflictingKeys, *span, message).help(help);
    }
    if let (Some(optional), Some(pivot)) = (draft.optional, draft.pivot) {
        let finding = report.error(Code::ConflictingKeys, optional, "the pivot cannot be optional");
        finding.related(pivot, "the pivot").help("the success of the pivot decides the saga: remove one of the two");
    }
}

fn constants(draft: &StepDraft, report: &mut FindingCollector) {
    let conditions = [("if", &draft.condition), ("check", &draft.check)];
    for (key, condition) in conditions.into_iter().filter_map(|(key, condition)| Some((key, condition.as_ref()?))) {
        if !condition.value.reads().is_empty() {
            continue;
        }
        let Ok(truth) = condition.value.evaluate_bool(&ExpressionScope::default()) else { continue };
        let name = &draft.name.value;
        match (key, truth) {
            ("if", false) => {
                let message = format!("step `{name}` never runs");
                report
                    .error(Code::UnreachableStep, condition.span, message)
                    .help("remove the step, or write an `if` that depends on data");
            }
            _ => {
                let message = format!("this `{key}` is always {truth}");
                report
                    .warning(Code::ConstantCondition, condition.span, message)
                    .help("remove it, or write an expression that depends on data");
            }
        }
    }
}

fn has_answer(draft: &StepDraft) -> bool {
    draft.undo.is_some() || draft.read_only.is_some() || draft.is_wait()
}

fn needs_undo(draft: &StepDraft, report: &mut FindingCollector) {
    if has_answer(draft) || draft.irreversible.is_some() || draft.action.is_none() {
        return;
    }
    let message = format!("step `{}` has effects and cannot be undone", draft.name.value);
    let help = match &draft.action {
        Some(StepAction::Call(call)) => match call.target {
            CallTarget::Http { method: HttpMethod::Get, .. } => "a GET has no effects: write `readOnly: true`",
            CallTarget::Http { .. } | CallTarget::Kafka { .. } => {
                "write `undo: …`; or `readOnly: true` if it has no effects, `irreversible: true` if nothing can undo \
                    them"
            }
        },
        Some(StepAction::Publish { .. } | StepAction::Wait(_)) | None => {
            "write `undo: …`, or `irreversible: true`: a published event cannot be taken back"
        }
    };
    report.error(Code::MissingUndo, draft.name.span, message).help(help);
}

fn check_needs_undo(draft: &StepDraft, report: &mut FindingCollector) {
    let Some(check) = draft.check.as_ref().filter(|_| !has_answer(draft)) else { return };
    let message = "a step that this `check` rejects has already had its effects and needs an `undo`";
    let help = "write `undo: …`, or `readOnly: true` if the step has no effects";
    report.error(Code::CheckWithoutUndo, check.span, message).help(help);
}

fn after(draft: &StepDraft, report: &mut FindingCollector) {
    if let (Some(span), Some(ExhaustionPolicy::Compensate)) = (draft.on_exhausted, draft.overrides.on_exhausted) {
        let message = format!("step `{}` is after the pivot, where nothing is undone", draft.name.value);
        report.error(Code::CompensateAfterPivot, span, message).help("write `onExhausted: park`, or remove it");
    }
    if let Some(check) = &draft.check {
        let message = "after the pivot a `check` that rejects can only park the saga";
        report.warning(Code::CheckAfterPivot, check.span, message).help("check before the pivot");
    }
    if let Some(undo) = draft.undo.as_ref().filter(|_| draft.optional.is_none()) {
        let message = "after the pivot nothing is undone: this `undo` is never used";
        report.warning(Code::UndoAfterPivot, undo.span, message).help("remove it");
    }
}

fn beside(drafts: &[StepDraft], graph: &StepGraph, draft: &StepDraft, report: &mut FindingCollector) {
    let Some(pivot) = graph.pivot.map(|pivot| &drafts[pivot]) else { return };
    let name = &pivot.name.value;
    let message = format!("step `{}` runs in parallel with the pivot `{name}`", draft.name.value);
    let help = format!("write `after: [{name}]` at the step, or let the pivot come after the step");
    let finding = report.error(Code::BesidePivot, draft.name.span, message);
    finding.related(pivot.pivot.unwrap_or(pivot.name.span), "the pivot").help(help);
}
