//! The answers that a journal holds, by command and attempt.

use super::{CommandName, name_of};
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest, RetryAdvice},
    event::{AttemptOutcome, NoRetryReason, OperatorAction, SagaDecision, SagaEvent},
    id::StepIndex,
    input::OperatorAct,
    state::SagaPlan,
    time::Timestamp,
};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// What the journal of a saga says of answers.
pub(super) struct RecordedAnswers {
    commands: BTreeMap<CommandName, BTreeMap<u32, RecordedAttempt>>,
    /// How long an answer to one attempt may take.
    times: BTreeMap<CommandName, Duration>,
    /// Remembered answers that were used, by the request.
    remembered: Vec<(CommandRequest, Timestamp, Value)>,
    /// Who performed what a capability asked for, by step.
    performers: BTreeMap<CommandName, String>,
    /// In their order.
    pub(super) acts: Vec<(Timestamp, OperatorAct)>,
}

/// One attempt that was sent.
#[derive(Clone, Debug)]
pub(super) struct RecordedAttempt {
    since: Timestamp,
    /// The longest time that an answer may have taken that counted: just less than the attempt's timeout.
    most: Duration,
    /// How long it took until the answer, or until nothing was waited for any more. A call waits for guards before its
    /// timeout begins, and a deadline may be noticed late: an answer that counted came within the timeout.
    pub(super) took: Duration,
    pub(super) answer: RecordedAnswer,
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) enum RecordedAnswer {
    /// The result.
    Succeeded(Value),
    /// The failure, as the participant or the way to it had it.
    Failed { outcome: AttemptOutcome, failure: CommandFailure, retry: RetryAdvice },
    /// No answer came in that time.
    Silence,
}

impl RecordedAttempt {
    fn is_unreadable(&self) -> bool {
        match &self.answer {
            RecordedAnswer::Failed { retry, .. } => *retry == RetryAdvice::Park,
            RecordedAnswer::Succeeded(_) | RecordedAnswer::Silence => false,
        }
    }
}

impl RecordedAnswers {
    pub(super) fn of(plan: &SagaPlan, decisions: &[SagaDecision]) -> RecordedAnswers {
        let mut answers = RecordedAnswers {
            commands: BTreeMap::new(),
            times: BTreeMap::new(),
            remembered: Vec::new(),
            performers: BTreeMap::new(),
            acts: Vec::new(),
        };
        for decision in decisions {
            for event in &decision.events {
                answers.add(plan, decision, event);
            }
        }
        let last = decisions.last().map(|decision| decision.at).unwrap_or_default();
        answers.close(last);
        answers
    }

    /// What the attempt was answered; `None`: it was never made.
    pub(super) fn attempt(&self, command: &CommandName, attempt: u32) -> Option<&RecordedAttempt> {
        self.commands.get(command)?.get(&attempt)
    }

    /// Whether the command was ever sent.
    pub(super) fn knows(&self, command: &CommandName) -> bool {
        self.commands.contains_key(command)
    }

    pub(super) fn remembered(&self, request: &CommandRequest) -> Option<(Timestamp, Value)> {
        let known = self.remembered.iter().find(|(known, ..)| known == request);
        known.map(|(_, at, result)| (*at, result.clone()))
    }

    /// Who performed the step.
    pub(super) fn performer(&self, step: &str) -> Option<&str> {
        let name = CommandName { step: step.to_owned(), direction: CommandDirection::Do };
        self.performers.get(&name).map(String::as_str)
    }

    fn add(&mut self, plan: &SagaPlan, decision: &SagaDecision, event: &SagaEvent) {
        let of = |step: &StepIndex, direction: CommandDirection| name_of(plan, CommandRef { step: *step, direction });
        let at = decision.at;
        match event {
            SagaEvent::StepStarted { step, direction, request, .. } => {
                let name = of(step, *direction);
                if let Some(performer) = request.participant() {
                    self.performers.insert(name.clone(), performer.to_owned());
                }
                let policy = plan.policies.command(CommandRef { step: *step, direction: *direction });
                let within = policy.time_for(Some(request)).saturating_sub(Duration::from_millis(1));
                self.times.insert(name.clone(), within);
                self.sent(name, 1, at);
            }
            SagaEvent::AttemptStarted { step, direction, attempt, .. } => {
                self.sent(of(step, *direction), *attempt, at);
            }
            SagaEvent::AttemptExtended { step, direction, attempt, .. } => {
                self.is_waited_for_longer(&of(step, *direction), *attempt);
            }
            // The attempt that was chosen was not sent.
            SagaEvent::StepWaiting { step, direction, .. } => self.take_back(&of(step, *direction)),
            SagaEvent::AttemptFailed { step, direction, attempt, outcome, failure, needs_person, .. } => {
                let is_unreadable = *outcome == AttemptOutcome::Unknown && failure.is_unreadable_reply();
                let retry = match is_unreadable {
                    true => RetryAdvice::Park,
                    false => advice(decision, *step, *direction, *needs_person),
                };
                let failed = RecordedAnswer::Failed { outcome: *outcome, failure: failure.clone(), retry };
                let answer = if failure.is_silence() { RecordedAnswer::Silence } else { failed };
                self.answered(&of(step, *direction), Some(*attempt), at, answer);
            }
            SagaEvent::StepSucceeded { step, direction, result } => {
                self.answered(&of(step, *direction), None, at, RecordedAnswer::Succeeded(result.clone()));
            }
            SagaEvent::StepRejected { step, result, .. } => {
                let name = of(step, CommandDirection::Do);
                self.answered(&name, None, at, RecordedAnswer::Succeeded(result.clone()));
            }
            SagaEvent::StepAnswered { by, request: Some(request), result, .. } => {
                let remembered = by.answered_at().map(|at| (request.clone(), at, result.clone()));
                self.remembered.extend(remembered);
            }
            // The saga runs by the changed definition all the time.
            SagaEvent::OperatorActed { action: OperatorAction::Migrate, .. } => {}
            SagaEvent::OperatorActed { .. } => {
                self.acts.extend(OperatorAct::recorded(plan, event).map(|act| (at, act)));
            }
            SagaEvent::SagaStarted { .. }
            | SagaEvent::StepTakenOver { .. }
            | SagaEvent::WaitStarted { .. }
            | SagaEvent::StepFailed { .. }
            | SagaEvent::StepAnswered { request: None, .. }
            | SagaEvent::StepSkipped { .. }
            | SagaEvent::ResultArrived { .. }
            | SagaEvent::CompensationStarted { .. }
            | SagaEvent::SagaOverdue
            | SagaEvent::SagaParked { .. }
            | SagaEvent::SagaResumed
            | SagaEvent::DefinitionChanged { .. }
            | SagaEvent::OutcomeDue { .. }
            | SagaEvent::OutcomeWaiting { .. }
            | SagaEvent::OutcomeShortened { .. }
            | SagaEvent::SagaEnded { .. }
            | SagaEvent::IncidentOpened { .. } => {}
        }
    }

    fn sent(&mut self, name: CommandName, attempt: u32, since: Timestamp) {
        let most = self.times.get(&name).copied().unwrap_or(Duration::MAX);
        let sent = RecordedAttempt { since, most, took: Duration::MAX, answer: RecordedAnswer::Silence };
        self.commands.entry(name).or_default().insert(attempt, sent);
    }

    /// The participant said that it works on it: no timeout says how long its answer may have taken.
    fn is_waited_for_longer(&mut self, name: &CommandName, attempt: u32) {
        if let Some(sent) = self.commands.get_mut(name).and_then(|attempts| attempts.get_mut(&attempt)) {
            sent.most = Duration::MAX;
        }
    }

    fn take_back(&mut self, name: &CommandName) {
        let Some(attempts) = self.commands.get_mut(name) else { return };
        if attempts.last_key_value().is_some_and(|(_, last)| last.took == Duration::MAX) {
            attempts.pop_last();
        }
        if attempts.is_empty() {
            self.commands.remove(name);
        }
    }

    /// The answer to an attempt; without a number to the last one. The first answer counts, unless it could not be read
    /// and has been mended since.
    fn answered(&mut self, name: &CommandName, attempt: Option<u32>, at: Timestamp, answer: RecordedAnswer) {
        let Some(attempts) = self.commands.get_mut(name) else { return };
        let attempt = attempt.or_else(|| attempts.keys().next_back().copied());
        let Some(sent) = attempt.and_then(|attempt| attempts.get_mut(&attempt)) else { return };
        if sent.is_unreadable() {
            sent.answer = answer;
        } else if sent.took == Duration::MAX {
            let most = match answer {
                RecordedAnswer::Succeeded(_) | RecordedAnswer::Failed { .. } => sent.most,
                RecordedAnswer::Silence => Duration::MAX,
            };
            (sent.took, sent.answer) = (at.since(sent.since).min(most), answer);
        }
    }

    /// What was not answered until the end of the journal was silent until then.
    fn close(&mut self, last: Timestamp) {
        let open = self.commands.values_mut().flat_map(BTreeMap::values_mut);
        open.filter(|attempt| attempt.took == Duration::MAX)
            .for_each(|attempt| attempt.took = last.since(attempt.since));
    }
}

/// Whether another attempt could have helped, as what follows in the row says.
fn advice(decision: &SagaDecision, step: StepIndex, direction: CommandDirection, needs_person: bool) -> RetryAdvice {
    let is_definite = decision.events.iter().any(|event| {
        let SagaEvent::StepFailed { step: of, direction: way, ending, .. } = event else { return false };
        (*of, *way, *ending) == (step, direction, NoRetryReason::Definite)
    });
    match (needs_person, is_definite) {
        (true, _) => RetryAdvice::ThenPark,
        (false, true) => RetryAdvice::No,
        (false, false) => RetryAdvice::Yes,
    }
}
