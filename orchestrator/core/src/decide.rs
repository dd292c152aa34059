//! (state, input) → events. Total: every pair is decided, ignored with a reason, refused with a reason, or an error that names both.
//!
//! One input makes at most one [`Decision`]; everything that follows from it at once is in the same row. The state is evolved along, so
//! that later parts of a decision see what its earlier parts recorded; it equals what the journal folds to.

mod advance;
mod answer;
mod choice;
mod compensate;
mod draft;
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
    answerable::Answerable,
    command::{Answer, CommandRef, Failure, Guard, Request, Whose},
    definition::Over,
    event::{Decision, End, Event, OperatorAction, ParkReason},
    evolve,
    id::SagaId,
    input::{Delivery, Input, Start},
    state::{Course, Plan, State},
    time::Timestamp,
};
use draft::Draft;
use std::borrow::Cow;

pub use fallback::Known;
pub use rehearsal::{Choose, Rehearsal};
pub use repeated::KEY_TAKEN_KEPT;

/// Rows after which a saga parks, and again at each multiple: a journal of this length is a loop that nobody noticed. A person can move
/// it on or abandon it. What is recorded at a bounded rate does not count: to wait for a guard, or for a participant at work, is no loop.
pub const HISTORY_LIMIT: u32 = 10_000;
/// Rows after which a saga is worth a warning.
pub const HISTORY_WARNING: u32 = 8_000;
/// The largest request, body, key and path together: 1 MiB, which brokers and services take without special settings, less 16 KiB for the headers
/// and the framing that go with it.
pub const REQUEST_LIMIT_BYTES: usize = (1024 - 16) * 1024;

/// What a decision needs beside state and input.
pub struct Context<'a> {
    /// The owner's clock.
    pub now: Timestamp,
    /// In which time an answer could have been read: deadlines count no other.
    pub answerable: &'a Answerable,
    /// Seed of the jitter of this decision.
    pub random: u64,
    /// Asked before a call, or a publication of a step, is recorded as started. An admitted one holds a permit until it is made.
    pub admission: &'a mut dyn FnMut(Asking<'_>) -> Admission,
    /// Asked how large the body of a command may be that goes to a participant over Kafka, in bytes, as far as its topic is known: what is to
    /// be undone there later must fit.
    pub room: &'a dyn Fn(&str) -> Option<usize>,
    /// Asked for a participant with a capability, when a command begins that names none; `None`: nobody has it. Whom it names is recorded
    /// with the request, so that a journal is folded without it.
    pub choose: &'a mut dyn FnMut(Choosing<'_>) -> Option<String>,
    /// Asked for the last answer to the same request of a read-only step; what it says is recorded, so that a journal is folded without it.
    pub recall: &'a mut dyn FnMut(&Request) -> Option<Known>,
}

/// A call or a publication that is about to be recorded as started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking<'a> {
    /// Whom it goes to.
    pub whose: Whose<&'a str>,
    /// Which command.
    pub command: CommandRef,
    /// Which attempt of it, 1 for the first.
    pub attempt: u32,
    /// The attempt before was to find out whether the participant is back, and failed.
    pub has_probed: bool,
}

/// A command that any participant with a capability may perform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choosing<'a> {
    /// The capability.
    pub capability: &'a str,
    /// How the command travels.
    pub over: Over,
}

/// A guard's answer to a call that has not been recorded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may leave.
    Admitted,
    /// It may leave, to find out whether the participant is back. What waits for a participant lends it its calls for that: such an attempt
    /// is not counted.
    Probe,
    /// It may not leave now.
    Refused {
        /// Who refuses.
        guard: Guard,
        /// When to ask again.
        not_before: Timestamp,
    },
    /// There is no such participant any more: the saga parks until a person has brought it back.
    Gone,
}

/// What an input leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A row for the journal; the state has been evolved by it.
    Decided(Decision),
    /// Nothing to record: the state has been brought up to date with what a new owner learns anew ([`crate::state::Noted`]). What is
    /// outstanding may have changed.
    Noted,
    /// Nothing changes.
    Ignored(Ignored),
    /// An operator's act that the state does not allow.
    Refused(Refused),
}

/// Why an input changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// The saga has ended.
    #[error("the saga has ended")]
    Terminal,
    /// The command is settled.
    #[error("the command is settled")]
    Settled,
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
        /// Who refuses.
        guard: Guard,
        /// When to ask again.
        not_before: Timestamp,
    },
    /// A record under a key that is taken, and the same one is on record, or as many as are kept.
    #[error("a record with another payload came under the key, and {} on record", if *is_full { "as many as are kept are" } else { "it is" })]
    KeyTaken {
        /// Further ones need not be told.
        is_full: bool,
    },
    /// The same act is on record.
    #[error("the same act is on record")]
    Repeated,
    /// Nothing is waiting for this delivery.
    #[error("nothing waits for this delivery")]
    NotPublishing,
}

impl Ignored {
    /// Short and stable, for counters.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Ignored::Terminal => "terminal",
            Ignored::Settled => "settled",
            Ignored::NeverSent => "never_sent",
            Ignored::NoSuchAttempt => "no_such_attempt",
            Ignored::NotDue => "not_due",
            Ignored::StillHeld { .. } => "still_held",
            Ignored::KeyTaken { .. } => "key_taken",
            Ignored::Repeated => "repeated",
            Ignored::NotPublishing => "not_publishing",
        }
    }
}

/// Why an operator's act is not allowed, and what is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub Cow<'static, str>);

impl Refused {
    fn because(why: impl Into<Cow<'static, str>>) -> Refused {
        Refused(why.into())
    }
}

/// An input that cannot belong to this saga.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// It names a step that the definition does not have.
    #[error("saga {saga} has {steps} steps, the input names step {step}")]
    NoSuchStep {
        /// The saga.
        saga: SagaId,
        /// How many steps it has.
        steps: usize,
        /// The step that is named.
        step: u16,
    },
}

/// Starts a saga: its start and its first steps are one row.
pub fn start(plan: &Plan, saga: SagaId, start: Start, context: &mut Context<'_>) -> (Decision, State) {
    let event = started(plan, start);
    let mut state = evolve::started(plan, saga, &event, context.now).expect("the event is a start");
    let mut draft = Draft::new(plan, &mut state, context);
    draft.emit(event);
    draft.advance();
    let decision = draft.finish().expect("it holds the start");
    (decision, state)
}

fn started(plan: &Plan, start: Start) -> Event {
    Event::SagaStarted {
        name: plan.definition.name.clone(),
        key: start.key,
        definition: plan.definition.hash.clone(),
        policies: plan.policies_hash.clone(),
        trigger: Box::new(start.trigger),
        traceparent: start.traceparent,
    }
}

/// Decides on one input. `state` is evolved if and only if the answer is [`Outcome::Decided`], and noted in if it is [`Outcome::Noted`].
///
/// # Errors
/// When the input names a step that the saga does not have.
pub fn decide(plan: &Plan, state: &mut State, input: &Input, context: &mut Context<'_>) -> Result<Outcome, Illegal> {
    check(state, input)?;
    if let Input::KeyTaken { record, payload } = input {
        return Ok(repeated::key_taken(plan, state, context, record, payload));
    }
    if let Course::Ended(_) = state.course {
        return Ok(after_the_end(plan, state, input, context));
    }
    if let Input::Mended { act, plan: mended } = input {
        return Ok(mend::retry(plan, mended, state, act, context));
    }
    let mut draft = Draft::new(plan, state, context);
    let verdict = match input {
        Input::Answered { command, attempt, answer } => draft.answered(*command, *attempt, answer),
        Input::Delivered { delivery } => draft.outcome_delivered(delivery),
        Input::TimeReached => draft.time_reached(),
        Input::Released { command } => draft.released(*command),
        Input::Operator(act) => draft.operator(act),
        // Decided above.
        Input::Mended { .. } | Input::KeyTaken { .. } => Ok(()),
    };
    if let Err(stop) = verdict {
        debug_assert!(draft.is_empty(), "an input that changes nothing recorded something");
        return Ok(stop.into());
    }
    draft.advance();
    let otherwise = if draft.noted { Outcome::Noted } else { Outcome::Ignored(Ignored::NotDue) };
    Ok(draft.finish().map_or(otherwise, Outcome::Decided))
}

/// Parks a saga for a reason outside of its rules: its decisions cannot be made. Its commands that are out stay out; an operator's retry
/// goes on. `None` if it is parked or at its end already. `state` is evolved along.
pub fn park(plan: &Plan, state: &mut State, message: String, context: &mut Context<'_>) -> Option<Decision> {
    if !matches!(state.course, Course::Forward | Course::Compensating { .. }) {
        return None;
    }
    let mut draft = Draft::new(plan, state, context);
    draft.emit(Event::SagaParked { reason: ParkReason::Limit { message } });
    draft.finish()
}

/// Ends a saga whose journal cannot be read, as the operator's act says: the row after the last, which is numbered without reading it. What is left
/// undone is not known, and an incident says so, with `why`.
#[must_use]
pub fn abandon_unread(version: u32, at: Timestamp, act: Act<'_>, why: &str) -> Decision {
    let Act { id, who, reason } = act;
    let action = OperatorAction::Abandon;
    let acted = Event::OperatorActed { id: id.into(), who: who.into(), reason: reason.into(), action, command: None };
    let failure = Failure::new("unreadable", format!("what is left undone is not known: {why}"));
    let unknown = Event::IncidentOpened { step: None, direction: None, failure };
    let end = End::Abandoned { who: who.into(), reason: reason.into(), left: Vec::new() };
    Decision { version, at, events: vec![acted, unknown, Event::SagaEnded { end }] }
}

/// Who acts, and why.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// Identity of the act.
    pub id: &'a str,
    /// Who.
    pub who: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// Why an input leads to no row.
enum Stop {
    Ignored(Ignored),
    Refused(Refused),
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Outcome {
        match stop {
            Stop::Ignored(ignored) => Outcome::Ignored(ignored),
            Stop::Refused(refused) => Outcome::Refused(refused),
        }
    }
}

impl From<Ignored> for Stop {
    fn from(ignored: Ignored) -> Stop {
        Stop::Ignored(ignored)
    }
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Stop {
        Stop::Refused(refused)
    }
}

fn check(state: &State, input: &Input) -> Result<(), Illegal> {
    let step = match input {
        Input::Answered { command, .. } | Input::Released { command } => command.step,
        Input::Delivered { .. }
        | Input::TimeReached
        | Input::KeyTaken { .. }
        | Input::Operator(_)
        | Input::Mended { .. } => return Ok(()),
    };
    let steps = state.steps.len();
    if step.at() < steps { Ok(()) } else { Err(Illegal::NoSuchStep { saga: state.id, steps, step: step.0 }) }
}

/// Whatever comes, the end stays as it is; what contradicts it, or settles what it left open, is put on record for a person.
fn after_the_end(plan: &Plan, state: &mut State, input: &Input, context: &mut Context<'_>) -> Outcome {
    match input {
        Input::Operator(act) | Input::Mended { act, .. } => match operator::is_new(plan, state, act) {
            Ok(()) => Outcome::Refused(Refused::because("the saga has ended, and a terminal saga changes no more")),
            Err(stop) => stop.into(),
        },
        Input::Answered { command, answer: Answer::Succeeded { result }, .. }
            if late::is_news_after_the_end(plan, state, *command) =>
        {
            let mut draft = Draft::new(plan, state, context);
            draft.late_after_the_end(*command, result);
            draft.finish().map_or(Outcome::Ignored(Ignored::Terminal), Outcome::Decided)
        }
        // What came under its key was told before.
        Input::Answered { .. }
        | Input::Delivered { .. }
        | Input::TimeReached
        | Input::KeyTaken { .. }
        | Input::Released { .. } => Outcome::Ignored(Ignored::Terminal),
    }
}

impl Draft<'_, '_> {
    fn incident(&mut self, about: Option<CommandRef>, failure: Failure) {
        let (step, direction) = (about.map(|command| command.step), about.map(|command| command.direction));
        self.emit(Event::IncidentOpened { step, direction, failure });
    }

    /// An abandon waited for what the broker says of the outcome event. A saga that told its end has ended so.
    fn abandon_answered(&mut self, delivery: &Delivery, end: End, who: &str, reason: &str) {
        match delivery {
            Delivery::Acknowledged => {
                let what = "the outcome event was out before the saga was abandoned; the saga ended as it says";
                self.incident(None, Failure::new("abandon_too_late", what));
                self.emit(Event::SagaEnded { end });
            }
            Delivery::Refused { failure, .. } | Delivery::Impossible { failure } => {
                let message = format!("the broker was not heard to have the outcome event: {}", failure.message);
                self.incident(None, Failure { message, ..failure.clone() });
                self.abandoned(who, reason);
            }
        }
    }

    fn outcome_delivered(&mut self, delivery: &Delivery) -> Result<(), Stop> {
        let Course::OutcomeDue { end, request, form, waits, .. } = &self.state.course else {
            return Err(Ignored::NotPublishing.into());
        };
        let end = end.clone();
        if let Some((who, reason)) = self.state.abandon.clone() {
            self.abandon_answered(delivery, end, &who, &reason);
            return Ok(());
        }
        match delivery {
            Delivery::Acknowledged => self.emit(Event::SagaEnded { end }),
            Delivery::Refused { failure, .. } if waits.is_none() => {
                self.emit(Event::OutcomeWaiting { failure: failure.clone() });
            }
            // That it waits is on record: what waits for a topic that is gone for a day costs one row.
            Delivery::Refused { retry_after, .. } => {
                let not_before = self.now.plus(*retry_after);
                return Err(Ignored::StillHeld { guard: Guard::Transport, not_before }.into());
            }
            Delivery::Impossible { failure } => {
                let shortened = outcome::shortened(request, *form, failure);
                self.incident(None, outcome::incident(failure, shortened.as_ref()));
                self.emit(shortened.map_or(Event::SagaEnded { end }, |request| Event::OutcomeShortened { request }));
            }
        }
        Ok(())
    }
}
