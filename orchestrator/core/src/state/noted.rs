//! What the owner of a saga knows of an attempt and does not record: what a participant that works on it says again and
//! again, and what a guard holds back. It changes no fact. A new owner does not have it and learns it anew, by asking
//! or sending again.

use super::{CommandPhase, CommandState, EventPosition, InFlightAttempt, SagaState, SendTime};
use crate::{
    answerable::AnswerWatermark,
    command::{CommandRef, CommandRequest},
    time::Timestamp,
};
use std::time::Duration;

/// What is known of an attempt beyond its record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptNotes {
    /// How often this owner asked how far it is.
    pub(crate) asked: u32,
    /// Its times, where they are later than those on record.
    pub(crate) times: Option<AttemptTimes>,
}

/// The times of an attempt that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttemptTimes {
    pub(crate) since: Timestamp,
    pub(crate) ask_at: Option<Timestamp>,
    pub(crate) location: Option<String>,
}

impl InFlightAttempt {
    pub(crate) fn started(time: Duration, cause: EventPosition, at: Timestamp, first: bool) -> InFlightAttempt {
        let (ask_at, location, heard_at, noted) = (None, None, None, AttemptNotes::default());
        let departure = SendTime::AsDecided;
        InFlightAttempt { since: at, time, departure, ask_at, location, heard_at, noted, cause, at, first }
    }

    /// It is on record that the participant works on it.
    pub(crate) fn extended(
        &mut self,
        deadline: Timestamp,
        ask_at: Option<Timestamp>,
        location: Option<String>,
        at: Timestamp,
    ) {
        self.since = ask_at.unwrap_or(at);
        self.time = deadline.since(self.since);
        self.departure = SendTime::AsDecided;
        (self.ask_at, self.location) = (ask_at, location);
        self.heard_at = Some(at);
        self.noted.times = None;
        self.first = false;
    }

    /// The time from which the attempt's timeout runs.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.noted.times.as_ref().map_or(self.since, |times| times.since)
    }

    /// When to ask how far it is.
    #[must_use]
    pub fn ask_at(&self) -> Option<Timestamp> {
        self.noted.times.as_ref().map_or(self.ask_at, |times| times.ask_at)
    }

    /// Where to ask; `None`: repeat the request.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.noted.times.as_ref().map_or(self.location.as_deref(), |times| times.location.as_deref())
    }

    /// How often this owner asked how far it is.
    #[must_use]
    pub fn asked(&self) -> u32 {
        self.noted.asked
    }
}

/// An attempt that was decided on so long before its owner was lost was sent: the task that sends records gives none up
/// before half of it.
const SURELY_LEFT: Duration = Duration::from_secs(60);

impl CommandState {
    /// Whether the time on record says nothing of how long the attempt that is out may still take: the process that
    /// made a call is gone with its connection, a record may not have been sent, and what a participant at work said
    /// last is not on record.
    fn begins_anew(&self, answerable: &AnswerWatermark) -> bool {
        let CommandPhase::Attempting(attempting) = &self.phase else { return false };
        let is_http = matches!(self.request.as_deref(), Some(CommandRequest::Http { .. }));
        let surely_left = answerable.outages.end_of(attempting.since(), SURELY_LEFT) <= answerable.until;
        is_http || attempting.heard_at.is_some() || !surely_left
    }
}

impl SagaState {
    /// A new owner has the saga, and sends again or asks after what is out: the time of such an attempt runs from then,
    /// where the record does not say how long it may still take.
    pub fn taken_over(&mut self, answerable: &AnswerWatermark) {
        for step in &mut self.steps {
            for command in [&mut step.forward, &mut step.undo] {
                if command.begins_anew(answerable)
                    && let CommandPhase::Attempting(attempting) = &mut command.phase
                {
                    attempting.departure = SendTime::NotYet;
                }
            }
        }
    }

    /// The state as the journal tells it, without what was noted.
    #[must_use]
    pub fn as_recorded(mut self) -> SagaState {
        self.outcome_is_out = false;
        for step in &mut self.steps {
            for command in [&mut step.forward, &mut step.undo] {
                if let CommandPhase::Attempting(attempting) = &mut command.phase {
                    attempting.noted = AttemptNotes::default();
                }
            }
        }
        self
    }

    /// What it says holds from now on, as if it had been recorded.
    pub(crate) fn note(&mut self, command: CommandRef, times: AttemptTimes) {
        if let CommandPhase::Attempting(attempting) = &mut self.command_mut(command).phase {
            attempting.departure = SendTime::AsDecided;
            attempting.noted.times = Some(times);
        }
    }

    /// Notes that this owner asks how far the attempt is.
    pub(crate) fn note_asked(&mut self, command: CommandRef) {
        if let CommandPhase::Attempting(attempting) = &mut self.command_mut(command).phase {
            let times = AttemptTimes {
                since: attempting.since(),
                ask_at: None,
                location: attempting.location().map(str::to_owned),
            };
            attempting.noted = AttemptNotes { asked: attempting.noted.asked.saturating_add(1), times: Some(times) };
        }
    }
}
