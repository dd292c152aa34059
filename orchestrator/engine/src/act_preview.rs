//! What an act would lead to. The previewer decides as the saga's owner decides, by the same state and the same rules.
//! It changes nothing and sends nothing.

use super::{
    active_config::ActiveConfigCell,
    admission::DecisionSources,
    message::{MessageContent, NO_NEWS, SAGA_LEFT},
    reply_classes::classified,
};
use crate::journal::{self, JournalAccess, RecordedSaga, erasing::ended_unread};
use saga_base::clock::EngineClock;
use saga_base::panics::caught;
use saga_core::{
    answerable::ALWAYS,
    command::{CommandRef, GuardKind, GuardOwner},
    decide::{self, AdmissionRequest, AdmissionVerdict, DecisionContext, DecisionOutcome, IgnoreReason, JitterSource},
    describe::ActPreview,
    event::{OperatorAction, SagaDecision, SagaEvent},
    id::SagaId,
    input::{ActTarget, OperatorAct, SagaFork, SagaInput},
    rerun,
    state::SagaPlan,
    time::Timestamp,
};
use saga_event_store::StreamSummary;
use saga_guards::breaker::BreakerState;
use saga_wire::reply::CommandReply;
use std::sync::Arc;

/// What an act would lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActPreviewOutcome {
    /// The act would be applied.
    Applied {
        /// The step that it would be about, if it is about one.
        about: Option<ActTarget>,
        /// The state that the act would lead the saga to.
        leads_to: Box<ActPreview>,
    },
    /// The act is on record already, or would change nothing.
    Nothing,
    /// The saga's state does not allow the act.
    Refused {
        /// Why the act is refused, and which acts are allowed.
        reason: String,
    },
}

/// What would become of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReplyPreview {
    /// The saga takes it.
    Taken,
    /// It changes nothing, for this reason.
    Ignored(String),
    /// It says the opposite of an earlier one, as the text tells.
    Contradicts(String),
    /// It answers no command of the saga, for this reason.
    OfNoStep(String),
    /// There is no such saga.
    OfNoSaga,
}

/// Previews acts. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct ActPreviewer {
    journal: JournalAccess,
    sources: DecisionSources,
    /// The participants that replies are from.
    config: Arc<ActiveConfigCell>,
    clock: EngineClock,
}

impl ActPreviewer {
    pub(crate) fn new(
        journal: JournalAccess,
        sources: DecisionSources,
        config: Arc<ActiveConfigCell>,
        clock: EngineClock,
    ) -> ActPreviewer {
        ActPreviewer { journal, sources, config, clock }
    }

    /// What `act` would lead to if it were given now; what happens meanwhile may change that. `None`: there is no such
    /// saga.
    ///
    /// # Errors
    /// When the saga cannot be read.
    pub(crate) async fn preview(
        &self,
        saga: SagaId,
        act: &OperatorAct,
        plan: Option<&Arc<SagaPlan>>,
    ) -> Result<Option<ActPreviewOutcome>, journal::JournalError> {
        match self.journal.read(saga).await {
            // An erasure needs nothing of the journal but its rows.
            Err(error @ journal::JournalError::Fault(_)) if act.action == OperatorAction::Erase => {
                match self.journal.store().summary(saga.uuid()).await? {
                    Some(summary) => Ok(Some(of_unread(&summary))),
                    None => Err(error),
                }
            }
            recorded => Ok(recorded?.map(|recorded| self.preview_by(recorded, act, plan))),
        }
    }

    /// What would become of a reply if it came now. A saga that has left the store takes none.
    ///
    /// # Errors
    /// When the saga cannot be read.
    pub(crate) async fn reply(&self, reply: CommandReply) -> Result<ReplyPreview, journal::JournalError> {
        let has_left = self.journal.horizon().may_have_left(reply.command.saga);
        let Some(recorded) = self.journal.read(reply.saga).await? else {
            let left = || ReplyPreview::Ignored(SAGA_LEFT.to_owned());
            return Ok(if has_left { left() } else { ReplyPreview::OfNoSaga });
        };
        let input = match MessageContent::Reply(Box::new(reply)).input(&recorded.plan, &recorded.state) {
            Ok(input) => input,
            Err(reason) => return Ok(ReplyPreview::OfNoStep(reason.to_owned())),
        };
        let input = classified(&self.config.load().participants, &recorded.state, input);
        Ok(match self.decide(recorded, &input) {
            Some((DecisionOutcome::Decided(_), _)) => ReplyPreview::Taken,
            Some((DecisionOutcome::Noted, _)) => ReplyPreview::Ignored(NO_NEWS.to_owned()),
            Some((DecisionOutcome::Ignored(why @ IgnoreReason::Contradicted), _)) => {
                ReplyPreview::Contradicts(why.to_string())
            }
            Some((DecisionOutcome::Ignored(why), _)) => ReplyPreview::Ignored(why.to_string()),
            Some((DecisionOutcome::Refused(why), _)) => ReplyPreview::Ignored(why.to_string()),
            None => ReplyPreview::Ignored("what it would lead to cannot be told".to_owned()),
        })
    }

    /// The time by which acts are decided.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The same of a saga that is read already.
    pub(crate) fn preview_of(&self, recorded: RecordedSaga, act: &OperatorAct) -> ActPreviewOutcome {
        self.preview_by(recorded, act, None)
    }

    fn preview_by(&self, recorded: RecordedSaga, act: &OperatorAct, plan: Option<&Arc<SagaPlan>>) -> ActPreviewOutcome {
        let input = input_of(act, plan);
        // When the decision panics, the saga's owner parks the saga for the operator.
        let unknown = || ActPreviewOutcome::Refused { reason: "what it would lead to cannot be told".to_owned() };
        let decided = self.decide(recorded, &input);
        decided.map_or_else(unknown, |(outcome, after)| told(plan, &outcome, &after))
    }

    /// What the owner would decide, and the saga after it. `None`: the decision panics, or its input is illegal.
    pub(crate) fn decide(
        &self,
        mut recorded: RecordedSaga,
        input: &SagaInput,
    ) -> Option<(DecisionOutcome, RecordedSaga)> {
        let (plan, state) = (&recorded.plan, &mut recorded.state);
        let outcome = self.with_context(|context| decide::decide(plan, state, input, context))?.ok()?;
        Some((outcome, recorded))
    }

    /// Where the rerun of a saga would lead that begins now by `plan`. `None`: the decision panics.
    pub(crate) fn rerun(&self, recorded: &RecordedSaga, plan: &SagaPlan, fork: SagaFork) -> Option<ActPreview> {
        let start = rerun::start_of(&recorded.state);
        let saga = recorded.state.id;
        let (decision, state) = self.with_context(|context| decide::rerun(plan, saga, start, fork, context))?;
        Some(ActPreview::of(plan, &state, &decision))
    }

    fn with_context<T>(&self, decide: impl FnOnce(&mut DecisionContext<'_>) -> T) -> Option<T> {
        let now = self.clock.now();
        let mut context = DecisionContext {
            now,
            answerable: &ALWAYS,
            random: JitterSource::Seed(0),
            admission: &mut |asking: AdmissionRequest<'_>| self.would_admit(asking.whose, now),
            room: &|_| None,
            choose: &mut |choosing| self.sources.choose(choosing),
            recall: &mut |request| self.sources.recall(request),
        };
        caught(|| decide(&mut context)).ok()
    }

    /// What the guards say without giving a permit away: an act goes before all that waits in a queue, so only what
    /// stops every call stops it.
    fn would_admit(&self, whose: GuardOwner<&str>, now: Timestamp) -> AdmissionVerdict {
        let GuardOwner::Participant(participant) = whose else { return AdmissionVerdict::Admitted };
        let refused = |guard| AdmissionVerdict::Refused { guard, not_before: now };
        match self.sources.guards().snapshot_of(participant) {
            None if self.sources.is_elsewhere(participant) => refused(GuardKind::Transport),
            None => AdmissionVerdict::Gone,
            Some(seen) => match seen.breaker {
                BreakerState::Open | BreakerState::ForcedOpen => refused(GuardKind::Breaker),
                BreakerState::Closed
                | BreakerState::HalfOpen
                | BreakerState::ForcedClosed
                | BreakerState::MetricsOnly => AdmissionVerdict::Admitted,
            },
        }
    }
}

/// What the erasure of a saga would lead to whose journal cannot be read.
pub(crate) fn of_unread(summary: &StreamSummary) -> ActPreviewOutcome {
    match ended_unread(summary) {
        Err(refusal) => ActPreviewOutcome::Refused { reason: refusal.to_owned() },
        Ok(status) => {
            let (step, [starts, undoes, leaves]) = (summary.step.clone(), [const { Vec::new() }; 3]);
            let leads_to = Box::new(ActPreview { status, step, reason: None, starts, undoes, leaves });
            ActPreviewOutcome::Applied { about: None, leads_to }
        }
    }
}

/// A retry by `plan`, if there is one; else the act alone.
pub(crate) fn input_of(act: &OperatorAct, plan: Option<&Arc<SagaPlan>>) -> SagaInput {
    match plan {
        None => SagaInput::Operator(act.clone()),
        Some(plan) => SagaInput::Mended { act: act.clone(), plan: Arc::clone(plan) },
    }
}

/// The command as an act names it.
pub(crate) fn named(plan: &SagaPlan, command: CommandRef) -> ActTarget {
    ActTarget { step: plan.definition.step(command.step).name.clone(), direction: Some(command.direction) }
}

/// The command that an act in `decision` was about.
pub(crate) fn acted_on(decision: &SagaDecision) -> Option<CommandRef> {
    decision
        .events
        .iter()
        .find_map(|event| if let SagaEvent::OperatorActed { command, .. } = event { *command } else { None })
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
