//! What an act would lead to: decided as its owner decides it, by the same state and the same rules. Nothing is changed, nothing leaves.

use super::{
    Parts,
    operate::{acted_on, input_of, named},
};
use crate::journal::{self, RecordedSaga};
use saga_base::panics::caught;
use saga_core::{
    answerable::ALWAYS,
    command::{GuardKind, GuardOwner},
    decide::{self, AdmissionRequest, AdmissionVerdict, CapabilityRequest, DecisionContext, DecisionOutcome},
    id::SagaId,
    input::{ActTarget, OperatorAct, SagaInput},
    state::{SagaPlan, view::ActPreview},
    time::Timestamp,
};
use saga_guards::breaker::BreakerState;
use std::sync::Arc;

/// What an act would lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActPreviewOutcome {
    /// It would be applied.
    Applied {
        /// The step that it would be about, if it is about one.
        about: Option<ActTarget>,
        /// Where the saga would be then.
        leads_to: Box<ActPreview>,
    },
    /// It is on record, or changes nothing.
    Nothing,
    /// The saga's state does not allow it.
    Refused {
        /// Why, and what is allowed.
        reason: String,
    },
}

/// What `act` would lead to if it were given now; what happens meanwhile may change that. `None`: there is no such saga.
///
/// # Errors
/// When the saga cannot be read.
pub async fn of(
    parts: &Parts,
    saga: SagaId,
    act: &OperatorAct,
    plan: Option<&Arc<SagaPlan>>,
) -> Result<Option<ActPreviewOutcome>, journal::JournalError> {
    let Some(recorded) = journal::read(parts.store.as_ref(), &parts.plans, saga).await? else { return Ok(None) };
    let input = input_of(act, plan);
    // Where the decision panics its owner parks the saga, for a person to see.
    let unknown = || ActPreviewOutcome::Refused { reason: "what it would lead to cannot be told".to_owned() };
    Ok(Some(decided(parts, recorded, &input).map_or_else(unknown, |(outcome, after)| told(plan, &outcome, &after))))
}

fn told(mended: Option<&Arc<SagaPlan>>, outcome: &DecisionOutcome, after: &RecordedSaga) -> ActPreviewOutcome {
    match outcome {
        DecisionOutcome::Decided(decision) => {
            let plan = mended.unwrap_or(&after.plan);
            let about = acted_on(decision).map(|command| named(plan, command));
            let leads_to = Box::new(ActPreview::of(plan, &after.state, decision));
            ActPreviewOutcome::Applied { about, leads_to }
        }
        DecisionOutcome::Noted | DecisionOutcome::Ignored(_) => ActPreviewOutcome::Nothing,
        DecisionOutcome::Refused(refused) => ActPreviewOutcome::Refused { reason: refused.to_string() },
    }
}

/// What the owner would decide, and the saga after it.
pub(super) fn decided(
    parts: &Parts,
    mut recorded: RecordedSaga,
    input: &SagaInput,
) -> Option<(DecisionOutcome, RecordedSaga)> {
    let now = parts.clock.now();
    let mut admission = |asking: AdmissionRequest<'_>| would_admit(parts, asking.whose, now);
    let mut choose = |choosing: CapabilityRequest<'_>| {
        let here = parts.guarded.choose(choosing);
        here.or_else(|| parts.published.with_capability(choosing.capability, choosing.over))
    };
    let mut context = DecisionContext {
        now,
        answerable: &ALWAYS,
        random: 0,
        admission: &mut admission,
        room: &|_| None,
        choose: &mut choose,
        recall: &mut |request| parts.answers.recall(request),
    };
    let outcome = caught(|| decide::decide(&recorded.plan, &mut recorded.state, input, &mut context)).ok()?.ok()?;
    Some((outcome, recorded))
}

/// What the guards say without giving a place away: an act goes before all that waits in line, so only what stops every call stops it.
fn would_admit(parts: &Parts, whose: GuardOwner<&str>, now: Timestamp) -> AdmissionVerdict {
    let GuardOwner::Participant(participant) = whose else { return AdmissionVerdict::Admitted };
    let refused = |guard| AdmissionVerdict::Refused { guard, not_before: now };
    match parts.guarded.snapshot_of(participant) {
        None if parts.published.has_participant(participant) => refused(GuardKind::Transport),
        None => AdmissionVerdict::Gone,
        Some(seen) => match seen.breaker {
            BreakerState::Open | BreakerState::ForcedOpen => refused(GuardKind::Breaker),
            BreakerState::Closed | BreakerState::HalfOpen | BreakerState::ForcedClosed | BreakerState::MetricsOnly => {
                AdmissionVerdict::Admitted
            }
        },
    }
}
