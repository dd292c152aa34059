//! (state, input) → events. Total: every pair is decided, ignored with a reason, refused with a reason, or an error
//! that names both.
//!
//! One input makes at most one [`SagaDecision`]; everything that follows from it at once is in the same row. The state
//! is evolved along, so that later parts of a decision see what its earlier parts recorded; it equals what the journal
//! folds to.

mod advance;
mod answer;
mod choice;
mod compensate;
mod contradiction;
mod draft;
mod ended;
mod fallback;
mod late;
mod limit;
mod mend;
mod operator;
mod outcome;
mod rehearsal;
mod repeated;
mod request;
mod time;
mod way_back;

use crate::{
    answerable::AnswerWatermark,
    command::{CommandAnswer, CommandFailure, CommandRef, CommandRequest, GuardKind, GuardOwner},
    definition::TransportKind,
    event::{ForkOrigin, OperatorAction, ParkReason, SagaDecision, SagaEnd, SagaEvent},
    evolve,
    id::SagaId,
    input::{OutcomeDelivery, SagaFork, SagaInput, SagaStart},
    state::{SagaPhase, SagaPlan, SagaState},
    time::Timestamp,
};
use draft::DecisionDraft;
use std::borrow::Cow;

pub use fallback::PreviousAnswer;
pub use rehearsal::{CapabilityResolver, SagaRehearsal};
pub use repeated::KEY_TAKEN_KEPT;

/// Rows after which a saga parks, and again at each multiple: a journal of this length is taken for an unnoticed loop.
/// An operator can move the saga on or abandon it. What is recorded at a bounded rate does not count: to wait for a
/// guard, or for a participant at work, is no loop.
pub const HISTORY_LIMIT: u32 = 10_000;
/// The largest request, body, key and path together: 1 MiB, which brokers and services take without special settings,
/// less 16 KiB for the headers and the framing that go with it.
pub const REQUEST_LIMIT_BYTES: usize = (1024 - 16) * 1024;

/// What a decision needs beside state and input.
pub struct DecisionContext<'a> {
    /// Time of the decision, by the owner's clock; its row never gets an earlier time than the row before.
    pub now: Timestamp,
    /// In which time an answer could have been read: deadlines count no other.
    pub answerable: &'a AnswerWatermark,
    /// Where the jitter of this decision comes from.
    pub random: JitterSource<'a>,
    /// Asked before a call, or a publication of a step, is recorded as started. An admitted one holds a permit until it
    /// is made.
    pub admission: &'a mut dyn FnMut(AdmissionRequest<'_>) -> AdmissionVerdict,
    /// Asked how large the body of a command may be that goes to a participant over Kafka, in bytes, as far as its
    /// topic is known: what is to be undone there later must fit.
    pub room: &'a dyn Fn(&str) -> Option<usize>,
    /// Asked for a participant with a capability, when a command begins that names none; `None`: no participant has it.
    /// The participant that it names is recorded with the request, so that a journal is folded without it.
    pub choose: &'a mut dyn FnMut(CapabilityRequest<'_>) -> Option<String>,
    /// Asked for the last answer to the same request of a read-only step; what it says is recorded, so that a journal
    /// is folded without it.
    pub recall: &'a mut dyn FnMut(&CommandRequest) -> Option<PreviousAnswer>,
}

/// Where the jitter of a decision's delays comes from.
#[derive(Clone, Copy)]
pub enum JitterSource<'a> {
    /// A seed: the decision draws its jitter from it.
    Seed(u64),
    /// The times that a recorded decision set, by command: a decision that is made again ends its delays there, as far
    /// as the policies allow.
    Recorded(&'a dyn Fn(CommandRef) -> Option<Timestamp>),
}

/// A call or a publication that is about to be recorded as started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionRequest<'a> {
    /// The participant or the topic that it goes to.
    pub whose: GuardOwner<&'a str>,
    /// The command whose attempt is about to be recorded.
    pub command: CommandRef,
    /// Which attempt of it, 1 for the first.
    pub attempt: u32,
    /// The attempt before was to find out whether the participant is back, and failed.
    pub has_probed: bool,
}

/// A command that any participant with a capability may perform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapabilityRequest<'a> {
    /// Name of the capability, as the definition's step asks for it.
    pub capability: &'a str,
    /// The transport that the command needs: the participant must be reached over it.
    pub over: TransportKind,
}

/// A guard's answer to a call that has not been recorded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdmissionVerdict {
    /// The command may be sent now; it holds a permit until it is made.
    Admitted,
    /// It may be sent, to find out whether the participant is available again. Commands that wait for a participant
    /// serve as its probes: such an attempt is not counted.
    Probe,
    /// A guard refuses it: it may not be sent now.
    Refused {
        /// The guard that refuses the call.
        guard: GuardKind,
        /// The command may ask the guard again then, at the earliest.
        not_before: Timestamp,
    },
    /// There is no such participant any more: the saga parks until a person has brought it back.
    Gone,
}

/// What an input leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum DecisionOutcome {
    /// A row for the journal; the state has been evolved by it.
    Decided(SagaDecision),
    /// Nothing to record: the state has been brought up to date with what a new owner learns anew
    /// ([`crate::state::AttemptNotes`]). What is outstanding may have changed.
    Noted,
    /// The input changes nothing: no row is written, the state stays.
    Ignored(IgnoreReason),
    /// An operator's act that the state does not allow.
    Refused(ActRefusal),
}

/// Why an input changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreReason {
    /// The saga has ended.
    #[error("the saga has ended")]
    Terminal,
    /// The command is settled.
    #[error("the command is settled")]
    Settled,
    /// The participant said of the only attempt that it succeeded, and now says for good that it failed.
    #[error("the command succeeded, and the participant now says of the same attempt that it failed")]
    Contradicted,
    /// The command was never sent.
    #[error("the command was never sent")]
    NeverSent,
    /// The attempt has been answered, or the answer does not say which of several attempts it means.
    #[error("the attempt is answered, or the answer does not say which attempt it means")]
    NoSuchAttempt,
    /// The time that was set has been replaced.
    #[error("nothing is due")]
    NotDue,
    /// The guard that holds the command refuses it still: nothing new to record.
    #[error("{guard:?} holds it still")]
    StillHeld {
        /// The guard that still holds the command.
        guard: GuardKind,
        /// The command may ask the guard again then, at the earliest.
        not_before: Timestamp,
    },
    /// A record under a key that is taken, and the same one is on record, or as many as are kept.
    #[error("a record with another payload came under the key, and {} on record", if *is_full { "as many as are kept are" } else { "it is" })]
    KeyTaken {
        /// Whether as many records as are kept are on record: further ones need not be reported.
        is_full: bool,
    },
    /// The same act is on record.
    #[error("the same act is on record")]
    Repeated,
    /// Nothing is waiting for this delivery.
    #[error("nothing waits for this delivery")]
    NotPublishing,
}

impl IgnoreReason {
    /// Short and stable, for counters.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            IgnoreReason::Terminal => "terminal",
            IgnoreReason::Settled => "settled",
            IgnoreReason::Contradicted => "contradicted",
            IgnoreReason::NeverSent => "never_sent",
            IgnoreReason::NoSuchAttempt => "no_such_attempt",
            IgnoreReason::NotDue => "not_due",
            IgnoreReason::StillHeld { .. } => "still_held",
            IgnoreReason::KeyTaken { .. } => "key_taken",
            IgnoreReason::Repeated => "repeated",
            IgnoreReason::NotPublishing => "not_publishing",
        }
    }
}

/// Why an operator's act is not allowed, and what is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ActRefusal(pub Cow<'static, str>);

impl ActRefusal {
    fn because(why: impl Into<Cow<'static, str>>) -> ActRefusal {
        ActRefusal(why.into())
    }
}

/// An input that cannot belong to this saga.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// It names a step that the definition does not have.
    #[error("saga {saga} has {steps} steps, the input names step {step}")]
    NoSuchStep {
        /// The saga that the input was given to.
        saga: SagaId,
        /// How many steps the saga's definition has.
        steps: usize,
        /// Position of the step that the input names.
        step: u16,
    },
}

/// Starts a saga: its start and its first steps are one row.
pub fn start(
    plan: &SagaPlan,
    saga: SagaId,
    start: SagaStart,
    context: &mut DecisionContext<'_>,
) -> (SagaDecision, SagaState) {
    begin(plan, saga, started(plan, start, None), Vec::new(), context)
}

/// Starts a saga that runs another one again: its start, the outcomes that it takes over, and its first steps are one
/// row. [`crate::rerun::fork`] makes the fork, and judges whether it is safe.
pub fn rerun(
    plan: &SagaPlan,
    saga: SagaId,
    start: SagaStart,
    fork: SagaFork,
    context: &mut DecisionContext<'_>,
) -> (SagaDecision, SagaState) {
    let SagaFork { origin, taken } = fork;
    let taken = taken.into_iter().map(|(step, taken)| SagaEvent::StepTakenOver { step, taken: Box::new(taken) });
    begin(plan, saga, started(plan, start, Some(origin)), taken.collect(), context)
}

fn begin(
    plan: &SagaPlan,
    saga: SagaId,
    started: SagaEvent,
    taken: Vec<SagaEvent>,
    context: &mut DecisionContext<'_>,
) -> (SagaDecision, SagaState) {
    let mut state = evolve::started(plan, saga, &started, context.now).expect("the event is a start");
    let mut draft = DecisionDraft::new(plan, &mut state, context);
    draft.emit(started);
    taken.into_iter().for_each(|event| draft.emit(event));
    draft.advance();
    let decision = draft.finish().expect("it holds the start");
    (decision, state)
}

fn started(plan: &SagaPlan, start: SagaStart, forked_from: Option<ForkOrigin>) -> SagaEvent {
    SagaEvent::SagaStarted {
        name: plan.definition.name.clone(),
        key: start.key,
        definition: plan.definition.hash.clone(),
        policies: plan.policies_hash.clone(),
        trigger: Box::new(start.trigger),
        traceparent: start.traceparent,
        forked_from: forked_from.map(Box::new),
    }
}

/// Decides on one input. `state` is evolved if and only if the answer is [`DecisionOutcome::Decided`], and noted in if
/// it is [`DecisionOutcome::Noted`].
///
/// # Errors
/// When the input names a step that the saga does not have.
pub fn decide(
    plan: &SagaPlan,
    state: &mut SagaState,
    input: &SagaInput,
    context: &mut DecisionContext<'_>,
) -> Result<DecisionOutcome, DecisionError> {
    check(state, input)?;
    if let SagaInput::KeyTaken { record, payload } = input {
        return Ok(repeated::key_taken(plan, state, context, record, payload));
    }
    if let SagaPhase::Ended(_) = state.course {
        return Ok(after_the_end(plan, state, input, context));
    }
    if let SagaInput::Mended { act, plan: mended } = input {
        return Ok(mend::mended(plan, mended, state, act, context));
    }
    let mut draft = DecisionDraft::new(plan, state, context);
    let verdict = match input {
        SagaInput::Answered { command, attempt, answer } => draft.answered(*command, *attempt, answer),
        SagaInput::Delivered { delivery } => draft.outcome_delivered(delivery),
        SagaInput::TimeReached => draft.time_reached(),
        SagaInput::Released { command } => draft.released(*command),
        SagaInput::Operator(act) => draft.operator(act),
        // Decided above.
        SagaInput::Mended { .. } | SagaInput::KeyTaken { .. } => Ok(()),
    };
    if let Err(stop) = verdict {
        debug_assert!(draft.is_empty(), "an input that changes nothing recorded something");
        return Ok(stop.into());
    }
    draft.advance();
    let otherwise = if draft.noted { DecisionOutcome::Noted } else { DecisionOutcome::Ignored(IgnoreReason::NotDue) };
    Ok(draft.finish().map_or(otherwise, DecisionOutcome::Decided))
}

/// Parks a saga for a reason outside of its rules: its decisions cannot be made. Its commands that are out stay out; an
/// operator's retry goes on. `None` if it is parked or at its end already. `state` is evolved along.
pub fn park(
    plan: &SagaPlan,
    state: &mut SagaState,
    message: String,
    context: &mut DecisionContext<'_>,
) -> Option<SagaDecision> {
    if !matches!(state.course, SagaPhase::Forward | SagaPhase::Compensating { .. }) {
        return None;
    }
    let mut draft = DecisionDraft::new(plan, state, context);
    draft.emit(SagaEvent::SagaParked { reason: ParkReason::Limit { message } });
    draft.finish()
}

/// Ends a saga whose journal cannot be read, as the operator's act says: the row after the last, which is numbered
/// without reading it. What is left undone is not known, and an incident says so, with `why`.
#[must_use]
pub fn abandon_unread(version: u32, at: Timestamp, act: ActMetadata<'_>, why: &str) -> SagaDecision {
    let ActMetadata { id, who, reason } = act;
    let action = OperatorAction::Abandon;
    let acted =
        SagaEvent::OperatorActed { id: id.into(), who: who.into(), reason: reason.into(), action, command: None };
    let failure = CommandFailure::new("unreadable", format!("what is left undone is not known: {why}"));
    let unknown = SagaEvent::IncidentOpened { step: None, direction: None, failure };
    let end = SagaEnd::Abandoned { who: who.into(), reason: reason.into(), left: Vec::new() };
    SagaDecision { version, at, events: vec![acted, unknown, SagaEvent::SagaEnded { end }] }
}

/// The erasure of an ended saga whose journal cannot be read: the row after the last, which is numbered without reading
/// it.
#[must_use]
pub fn erase_unread(version: u32, at: Timestamp, act: ActMetadata<'_>) -> SagaDecision {
    let ActMetadata { id, who, reason } = act;
    let action = OperatorAction::Erase;
    let acted =
        SagaEvent::OperatorActed { id: id.into(), who: who.into(), reason: reason.into(), action, command: None };
    SagaDecision { version, at, events: vec![acted] }
}

/// The id, the operator and the reason of one act.
#[derive(Clone, Copy, Debug)]
pub struct ActMetadata<'a> {
    /// Identity of the act: the same id is applied once.
    pub id: &'a str,
    /// The operator, as the journal names them.
    pub who: &'a str,
    /// The operator's reason, as the journal records it.
    pub reason: &'a str,
}

/// Why an input leads to no row.
enum NoDecision {
    Ignored(IgnoreReason),
    Refused(ActRefusal),
}

impl From<NoDecision> for DecisionOutcome {
    fn from(stop: NoDecision) -> DecisionOutcome {
        match stop {
            NoDecision::Ignored(ignored) => DecisionOutcome::Ignored(ignored),
            NoDecision::Refused(refused) => DecisionOutcome::Refused(refused),
        }
    }
}

impl From<IgnoreReason> for NoDecision {
    fn from(ignored: IgnoreReason) -> NoDecision {
        NoDecision::Ignored(ignored)
    }
}

impl From<ActRefusal> for NoDecision {
    fn from(refused: ActRefusal) -> NoDecision {
        NoDecision::Refused(refused)
    }
}

fn check(state: &SagaState, input: &SagaInput) -> Result<(), DecisionError> {
    let step = match input {
        SagaInput::Answered { command, .. } | SagaInput::Released { command } => command.step,
        SagaInput::Delivered { .. }
        | SagaInput::TimeReached
        | SagaInput::KeyTaken { .. }
        | SagaInput::Operator(_)
        | SagaInput::Mended { .. } => return Ok(()),
    };
    let steps = state.steps.len();
    if step.at() < steps { Ok(()) } else { Err(DecisionError::NoSuchStep { saga: state.id, steps, step: step.0 }) }
}

/// Whatever comes, the end stays as it is; what contradicts it, or settles what it left open, is put on record for a
/// person.
fn after_the_end(
    plan: &SagaPlan,
    state: &mut SagaState,
    input: &SagaInput,
    context: &mut DecisionContext<'_>,
) -> DecisionOutcome {
    match input {
        SagaInput::Operator(act) if act.action == OperatorAction::Erase => operator::erase(plan, state, act, context),
        SagaInput::Operator(act) | SagaInput::Mended { act, .. } => match operator::is_new(plan, state, act) {
            Ok(()) => DecisionOutcome::Refused(ActRefusal::because("the saga has ended and cannot change any more")),
            Err(stop) => stop.into(),
        },
        SagaInput::Answered { command, answer: CommandAnswer::Succeeded { result }, .. }
            if state.erased.is_none() && late::is_news_after_the_end(plan, state, *command) =>
        {
            let mut draft = DecisionDraft::new(plan, state, context);
            draft.late_after_the_end(*command, result);
            draft.finish().map_or(DecisionOutcome::Ignored(IgnoreReason::Terminal), DecisionOutcome::Decided)
        }
        SagaInput::Answered { command, attempt, answer }
            if state.erased.is_none() && contradiction::contradicts(state, *command, *attempt, answer) =>
        {
            DecisionOutcome::Ignored(IgnoreReason::Contradicted)
        }
        // A record under the saga's key was reported before this.
        SagaInput::Answered { .. }
        | SagaInput::Delivered { .. }
        | SagaInput::TimeReached
        | SagaInput::KeyTaken { .. }
        | SagaInput::Released { .. } => DecisionOutcome::Ignored(IgnoreReason::Terminal),
    }
}

impl DecisionDraft<'_, '_> {
    fn incident(&mut self, about: Option<CommandRef>, failure: CommandFailure) {
        let (step, direction) = (about.map(|command| command.step), about.map(|command| command.direction));
        self.emit(SagaEvent::IncidentOpened { step, direction, failure });
    }

    /// An abandon waited for what the broker says of the outcome event. A saga whose outcome event is published has
    /// ended as that says.
    fn abandon_answered(&mut self, delivery: &OutcomeDelivery, end: SagaEnd, who: &str, reason: &str) {
        match delivery {
            OutcomeDelivery::Acknowledged => {
                let what =
                    "the broker took the outcome event before the saga was abandoned; the saga ended as the event says";
                self.incident(None, CommandFailure::new("abandon_too_late", what));
                self.emit(SagaEvent::SagaEnded { end });
            }
            OutcomeDelivery::Refused { failure, .. } | OutcomeDelivery::Impossible { failure } => {
                let message = format!("{}: {}", crate::incident::OUTCOME_UNCONFIRMED, failure.message);
                self.incident(None, CommandFailure { message, ..failure.clone() });
                self.abandoned(who, reason);
            }
        }
    }

    fn outcome_delivered(&mut self, delivery: &OutcomeDelivery) -> Result<(), NoDecision> {
        let SagaPhase::OutcomeDue { end, request, form, waits, .. } = &self.state.course else {
            return Err(IgnoreReason::NotPublishing.into());
        };
        let end = end.clone();
        if let Some((who, reason)) = self.state.abandon.clone() {
            self.abandon_answered(delivery, end, &who, &reason);
            return Ok(());
        }
        match delivery {
            OutcomeDelivery::Acknowledged => self.emit(SagaEvent::SagaEnded { end }),
            OutcomeDelivery::Refused { failure, .. } if waits.is_none() => {
                self.emit(SagaEvent::OutcomeWaiting { failure: failure.clone() });
            }
            // That it waits is on record: an event that waits a day for a missing topic costs one row.
            OutcomeDelivery::Refused { retry_after, .. } => {
                let not_before = self.now.plus(*retry_after);
                return Err(IgnoreReason::StillHeld { guard: GuardKind::Transport, not_before }.into());
            }
            OutcomeDelivery::Impossible { failure } => {
                let shortened = outcome::shortened(request, *form, failure);
                self.incident(None, outcome::incident(failure, shortened.as_ref()));
                self.emit(
                    shortened.map_or(SagaEvent::SagaEnded { end }, |request| SagaEvent::OutcomeShortened { request }),
                );
            }
        }
        Ok(())
    }
}
