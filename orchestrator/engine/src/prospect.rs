//! What an act would lead to: decided as its owner decides it, by the same state and the same rules. Nothing is changed, nothing leaves.

use super::{
    Parts,
    operate::{acted_on, input_of, named},
};
use crate::journal::{self, Recorded};
use saga_base::panics::caught;
use saga_core::{
    answerable::ALWAYS,
    command::{Guard, Whose},
    decide::{self, Admission, Asking, Choosing, Context, Outcome},
    id::SagaId,
    input::{About, Input, OperatorAct},
    state::{Plan, view::ProspectView},
    time::Timestamp,
};
use saga_resilience::snapshot::BreakerState;
use std::sync::Arc;

/// What an act would lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prospect {
    /// It would be applied.
    Applied {
        /// The step that it would be about, if it is about one.
        about: Option<About>,
        /// Where the saga would be then.
        leads_to: Box<ProspectView>,
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
    plan: Option<&Arc<Plan>>,
) -> Result<Option<Prospect>, journal::Error> {
    let Some(recorded) = journal::read(parts.store.as_ref(), &parts.plans, saga).await? else { return Ok(None) };
    let input = input_of(act, plan);
    // Where the decision panics its owner parks the saga, for a person to see.
    let unknown = || Prospect::Refused { reason: "what it would lead to cannot be told".to_owned() };
    Ok(Some(decided(parts, recorded, &input).map_or_else(unknown, |(outcome, after)| told(plan, &outcome, &after))))
}

fn told(mended: Option<&Arc<Plan>>, outcome: &Outcome, after: &Recorded) -> Prospect {
    match outcome {
        Outcome::Decided(decision) => {
            let plan = mended.unwrap_or(&after.plan);
            let about = acted_on(decision).map(|command| named(plan, command));
            let leads_to = Box::new(ProspectView::of(plan, &after.state, decision));
            Prospect::Applied { about, leads_to }
        }
        Outcome::Noted | Outcome::Ignored(_) => Prospect::Nothing,
        Outcome::Refused(refused) => Prospect::Refused { reason: refused.to_string() },
    }
}

/// What the owner would decide, and the saga after it.
pub(super) fn decided(parts: &Parts, mut recorded: Recorded, input: &Input) -> Option<(Outcome, Recorded)> {
    let now = parts.clock.now();
    let mut admission = |asking: Asking<'_>| would_admit(parts, asking.whose, now);
    let mut choose = |choosing: Choosing<'_>| {
        let here = parts.guarded.choose(choosing);
        here.or_else(|| parts.published.with_capability(choosing.capability, choosing.over))
    };
    let mut context = Context {
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
fn would_admit(parts: &Parts, whose: Whose<&str>, now: Timestamp) -> Admission {
    let Whose::Participant(participant) = whose else { return Admission::Admitted };
    let refused = |guard| Admission::Refused { guard, not_before: now };
    match parts.guarded.snapshot_of(participant) {
        None if parts.published.has_participant(participant) => refused(Guard::Transport),
        None => Admission::Gone,
        Some(seen) => match seen.breaker {
            BreakerState::Open | BreakerState::ForcedOpen => refused(Guard::Breaker),
            BreakerState::Closed | BreakerState::HalfOpen | BreakerState::ForcedClosed | BreakerState::MetricsOnly => {
                Admission::Admitted
            }
        },
    }
}
