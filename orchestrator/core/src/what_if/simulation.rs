//! A saga that runs by recorded answers, in a time of its own: each answer takes as long as it took.

use super::{
    AssumedAnswers, CommandName, UndecidedReason, name_of, note_call,
    recorded::{RecordedAnswer, RecordedAnswers},
};
use crate::{
    answerable::ALWAYS,
    command::{CommandAnswer, CommandDirection, CommandRef, CommandRequest},
    decide::{
        self, AdmissionVerdict, CapabilityRequest, DecisionContext, DecisionOutcome, JitterSource, PreviousAnswer,
    },
    definition::{CallTarget, ParticipantSelector, StepAction},
    event::{AttemptOutcome, SagaDecision},
    id::SagaId,
    input::{OperatorAct, OutcomeDelivery, SagaFork, SagaInput, SagaStart},
    state::{CommandPhase, SagaPhase, SagaPlan, SagaState},
    time::Timestamp,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Inputs after which a simulated saga is taken for one that does not end: more than recorded sagas have.
const MOST_INPUTS: usize = 20_000;

/// A saga that is simulated.
pub(super) struct SagaSimulation<'a> {
    plan: &'a SagaPlan,
    pub(super) state: SagaState,
    pub(super) calls: BTreeMap<CommandName, CommandRequest>,
    answers: &'a RecordedAnswers,
    assumed: &'a AssumedAnswers,
    acts: VecDeque<(Timestamp, OperatorAct)>,
    now: Timestamp,
}

/// What happens next, and when.
struct NextInput {
    at: Timestamp,
    input: SagaInput,
}

impl<'a> SagaSimulation<'a> {
    pub(super) fn start(
        plan: &'a SagaPlan,
        (start, fork): (SagaStart, Option<SagaFork>),
        saga: SagaId,
        now: Timestamp,
        answers: &'a RecordedAnswers,
        assumed: &'a AssumedAnswers,
    ) -> SagaSimulation<'a> {
        let surroundings = SimulatedSurroundings { plan, answers };
        let (decision, state) = surroundings.run(now, |context| match fork {
            None => decide::start(plan, saga, start, context),
            Some(fork) => decide::rerun(plan, saga, start, fork, context),
        });
        let acts = answers.acts.iter().cloned().collect();
        let mut simulation = SagaSimulation { plan, state, calls: BTreeMap::new(), answers, assumed, acts, now };
        simulation.note(&decision);
        simulation
    }

    /// Runs it to its end, or until an operator would have to act. `Some`: until an answer is needed that is not on
    /// record.
    pub(super) fn run(&mut self) -> Option<UndecidedReason> {
        for _ in 0..MOST_INPUTS {
            let next = match self.next() {
                Ok(Some(next)) => next,
                Ok(None) => return None,
                Err(undecided) => return Some(undecided),
            };
            self.now = self.now.max(next.at);
            let surroundings = SimulatedSurroundings { plan: self.plan, answers: self.answers };
            let (plan, state) = (self.plan, &mut self.state);
            let outcome = surroundings.run(self.now, |context| decide::decide(plan, state, &next.input, context));
            if let Ok(DecisionOutcome::Decided(decision)) = outcome {
                self.note(&decision);
            }
        }
        Some(UndecidedReason { command: None, reason: "the saga does not end".to_owned() })
    }

    fn note(&mut self, decision: &SagaDecision) {
        decision.events.iter().for_each(|event| note_call(self.plan, event, &mut self.calls));
    }

    /// `None`: it has ended, or it is parked and no operator acts.
    fn next(&mut self) -> Result<Option<NextInput>, UndecidedReason> {
        match &self.state.course {
            SagaPhase::Ended(_) => return Ok(None),
            SagaPhase::OutcomeDue { .. } => {
                let input = SagaInput::Delivered { delivery: OutcomeDelivery::Acknowledged };
                return Ok(Some(NextInput { at: self.now, input }));
            }
            SagaPhase::Forward | SagaPhase::Compensating { .. } | SagaPhase::Parked { .. } => {}
        }
        let answer = self.next_answer()?;
        let timer = self.state.dues(self.plan, &ALWAYS, self.now).first();
        let act = self.acts.front().map(|(at, _)| *at);
        let times = [answer.as_ref().map(|it| it.at), act, timer];
        let Some(first) = times.into_iter().flatten().min() else { return Ok(None) };
        // What came in at the same time as a timer was there before it.
        if let Some(answer) = answer.filter(|it| it.at <= first) {
            return Ok(Some(answer));
        }
        if act == Some(first)
            && let Some((at, act)) = self.acts.pop_front()
        {
            return Ok(Some(NextInput { at, input: SagaInput::Operator(act) }));
        }
        Ok(Some(NextInput { at: first, input: SagaInput::TimeReached }))
    }

    /// The earliest answer to what is out.
    fn next_answer(&self) -> Result<Option<NextInput>, UndecidedReason> {
        let mut next: Option<NextInput> = None;
        for (command, it) in self.state.commands() {
            let CommandPhase::Attempting(attempting) = &it.phase else { continue };
            let answer = self.answer(command, it.attempt, attempting.at, attempting.time)?;
            next = match (next, answer) {
                (Some(one), Some(other)) => Some(if other.at < one.at { other } else { one }),
                (one, other) => one.or(other),
            };
        }
        Ok(next)
    }

    /// `None`: the attempt times out.
    fn answer(
        &self,
        command: CommandRef,
        attempt: u32,
        since: Timestamp,
        time: Duration,
    ) -> Result<Option<NextInput>, UndecidedReason> {
        let name = name_of(self.plan, command);
        let answered = |at: Timestamp, answer: CommandAnswer| {
            Ok(Some(NextInput { at, input: SagaInput::Answered { command, attempt: Some(attempt), answer } }))
        };
        let Some(recorded) = self.answers.attempt(&name, attempt) else {
            return match self.assumed(&name) {
                Some(result) => answered(since, CommandAnswer::Succeeded { result }),
                None => Err(self.never_made(name, attempt)),
            };
        };
        let at = since.plus(recorded.took);
        match &recorded.answer {
            RecordedAnswer::Succeeded(result) => answered(at, CommandAnswer::Succeeded { result: result.clone() }),
            RecordedAnswer::Failed { outcome, failure, retry } => {
                let (failure, retry, retry_after) = (failure.clone(), *retry, None);
                answered(
                    at,
                    match outcome {
                        AttemptOutcome::Failed => CommandAnswer::Failed { failure, retry, retry_after },
                        AttemptOutcome::Unknown => CommandAnswer::Unknown { failure, retry, retry_after },
                    },
                )
            }
            RecordedAnswer::Silence if time > recorded.took => Err(UndecidedReason {
                reason: format!(
                    "attempt {attempt} was not answered in its time, and the definition waits longer: {time:?}"
                ),
                command: Some(name),
            }),
            RecordedAnswer::Silence => Ok(None),
        }
    }

    fn assumed(&self, name: &CommandName) -> Option<Value> {
        match name.direction {
            CommandDirection::Do => self.assumed.results.get(&name.step).cloned(),
            CommandDirection::Undo => self.assumed.undos_are_done.then_some(Value::Null),
        }
    }

    fn never_made(&self, name: CommandName, attempt: u32) -> UndecidedReason {
        let reason = if self.answers.knows(&name) {
            format!("attempt {attempt} was never made")
        } else {
            "it was never sent".to_owned()
        };
        UndecidedReason { command: Some(name), reason }
    }
}

/// What a simulated decision meets.
struct SimulatedSurroundings<'a> {
    plan: &'a SagaPlan,
    answers: &'a RecordedAnswers,
}

impl SimulatedSurroundings<'_> {
    fn run<T>(&self, now: Timestamp, act: impl FnOnce(&mut DecisionContext<'_>) -> T) -> T {
        act(&mut DecisionContext {
            now,
            answerable: &ALWAYS,
            random: JitterSource::Seed(0),
            admission: &mut |_| AdmissionVerdict::Admitted,
            room: &|_| None,
            choose: &mut |asking: CapabilityRequest<'_>| Some(self.chosen(asking.capability)),
            recall: &mut |request: &CommandRequest| {
                self.answers.remembered(request).map(|(at, result)| PreviousAnswer { at, result })
            },
        })
    }

    /// Who performed a step with the capability; where none did, the answer is not on record either, and the name does
    /// not matter.
    fn chosen(&self, capability: &str) -> String {
        let steps = self.plan.definition.steps.iter().filter(|step| is_of(&step.action, capability));
        let performer = steps.filter_map(|step| self.answers.performer(&step.name)).next();
        performer.unwrap_or(capability).to_owned()
    }
}

fn is_of(action: &StepAction, capability: &str) -> bool {
    let StepAction::Call(call) = action else { return false };
    let (CallTarget::Kafka { whom, .. } | CallTarget::Http { whom, .. }) = &call.target;
    *whom == ParticipantSelector::Capability(capability.to_owned())
}
