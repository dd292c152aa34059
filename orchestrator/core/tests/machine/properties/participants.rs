//! Participants that are idempotent for each command and keep the barrier: a do that arrives after its undo does
//! nothing.

use crate::given::seconds;
use saga_core::{
    command::{CommandAnswer, CommandDirection, CommandFailure, CommandRef, RetryAdvice},
    input::SagaInput,
};
use serde_json::json;

/// What one step left behind at its participant.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Site {
    pub(super) applied: bool,
    pub(super) undone: bool,
    declined: bool,
    /// It takes every request for one that it has already, and will never say anything else.
    conflicts: bool,
    answers_badly: bool,
}

/// A request on its way to a participant.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) command: CommandRef,
    pub(super) attempt: u32,
    pub(super) is_publication: bool,
    /// No other message of this attempt left before.
    pub(super) untouched: bool,
    /// The owner that sent it.
    pub(super) life: u32,
}

/// What a participant is inclined to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Does,
    DoesBadly,
    Declines,
    IsBusy,
    KnowsUsNot,
    IsAtIt,
    MeetsItself,
}

impl Message {
    /// Whether both are the same sending, which arrives twice.
    pub(super) fn is_copy_of(&self, other: &Message) -> bool {
        self.command == other.command && self.attempt == other.attempt && self.life == other.life
    }

    /// The answer on its way back.
    pub(super) fn reply(&self, answer: CommandAnswer) -> SagaInput {
        let command = self.command;
        let answer = match answer {
            // A broker knows no "not now": it has the record, never will, or nobody knows.
            CommandAnswer::Failed {
                failure,
                retry: RetryAdvice::Yes | RetryAdvice::Conflict | RetryAdvice::ThenPark | RetryAdvice::Park,
                ..
            } if self.is_publication => CommandAnswer::unknown(failure),
            CommandAnswer::Succeeded { .. }
            | CommandAnswer::Failed { .. }
            | CommandAnswer::Unknown { .. }
            | CommandAnswer::Ongoing { .. }
            | CommandAnswer::NotSent { .. } => answer,
        };
        SagaInput::Answered { command, attempt: Some(self.attempt), answer }
    }
}

impl Site {
    /// One that, if `conflicts`, takes every request for one that it has already.
    pub(super) fn new(conflicts: bool) -> Site {
        Site { conflicts, ..Site::default() }
    }

    /// What was done, declined or undone before is answered as before; what was sent once and arrives twice is answered
    /// alike.
    pub(super) fn answers(
        &mut self,
        message: &Message,
        mood: Mood,
        is_copied: bool,
        is_checked: bool,
    ) -> CommandAnswer {
        match (message.command.direction, mood) {
            (CommandDirection::Do, _) if self.undone || self.declined => failed("declined", RetryAdvice::No),
            (CommandDirection::Do, _) if self.applied => done(self.answers_badly),
            (CommandDirection::Undo, _) if self.undone => done(false),
            (_, _) if self.conflicts && !message.is_publication => failed("http.409", RetryAdvice::Conflict),
            (_, Mood::MeetsItself) if !message.is_publication && !is_copied => {
                self.conflicts = true;
                failed("http.409", RetryAdvice::Conflict)
            }
            (_, Mood::IsBusy) if !is_copied => failed("busy", RetryAdvice::Yes),
            (_, Mood::KnowsUsNot) if !is_copied => failed("http.401", RetryAdvice::ThenPark),
            (_, Mood::IsAtIt) if !message.is_publication => {
                let asks = message.command.step.at().is_multiple_of(2);
                CommandAnswer::Ongoing { ask_after: asks.then(|| seconds(4)), location: None }
            }
            (CommandDirection::Do, Mood::Declines) => {
                self.declined = true;
                failed("declined", RetryAdvice::No)
            }
            (CommandDirection::Undo, Mood::Declines) => failed("declined", RetryAdvice::No),
            (
                CommandDirection::Do,
                Mood::DoesBadly | Mood::Does | Mood::IsBusy | Mood::KnowsUsNot | Mood::IsAtIt | Mood::MeetsItself,
            ) => {
                self.applied = true;
                self.answers_badly = is_checked && mood == Mood::DoesBadly;
                done(self.answers_badly)
            }
            (
                CommandDirection::Undo,
                Mood::DoesBadly | Mood::Does | Mood::IsBusy | Mood::KnowsUsNot | Mood::IsAtIt | Mood::MeetsItself,
            ) => {
                self.undone = true;
                done(false)
            }
        }
    }
}

fn done(badly: bool) -> CommandAnswer {
    CommandAnswer::Succeeded { result: json!({"ok": !badly}) }
}

fn failed(code: &str, retry: RetryAdvice) -> CommandAnswer {
    CommandAnswer::Failed { failure: CommandFailure::new(code, ""), retry, retry_after: None }
}
