//! Every step of a definition that calls a participant, in their order: each is sent what the event and the answers before it make of it.

use super::{RehearsedStep, Restart, Script, Subject, Verified, run, script::told};
use saga_base::clock::Clock;
use saga_core::{
    command::{CommandRef, Direction, Failure, Request},
    decide::{Choosing, Rehearsal},
    definition::{Action, Effects, Participants},
    id::{SagaId, Shard, StepIndex},
    input::Start,
    state::Plan,
    time::Timestamp,
};
use saga_kafka::Settings;
use saga_wire::{
    Record,
    record::text_header,
    trigger::{Disposition, judge_for},
};
use serde_json::Value;
use std::sync::Arc;

/// Why nobody is asked for a step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// It calls no participant.
    #[error("it calls no participant")]
    NoCall,
    /// Its `if` is false.
    #[error("its `if` is false for this event")]
    NotWanted,
    /// What it sends, or its `if`, has no value.
    #[error("what it sends has no value: {0}")]
    NoValue(String),
    /// Its participant is not in the file.
    #[error("participants.yaml has no `{0}`")]
    Nobody(String),
}

/// A step, and what was found out about whoever performs it.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// Its name.
    pub step: String,
    /// What it sends, as it is typed; empty where it is not asked.
    pub sends: String,
    /// What was found.
    pub found: Result<Verified, Skipped>,
}

/// A definition, and the event that would start a saga of it.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    plan: Arc<Plan>,
    participants: Arc<Participants>,
    rehearsal: Rehearsal,
}

/// The event starts no saga of the definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoStart {
    /// `when` is false.
    #[error("the trigger's `when` is false for this event")]
    Unwanted,
    /// It would be a dead letter.
    #[error("the event would be a dead letter: {0}")]
    Poison(String),
}

impl Rehearsed {
    /// The saga that a record with this payload would start now.
    ///
    /// # Errors
    /// When it would start none.
    pub fn new(plan: Arc<Plan>, participants: Arc<Participants>, event: &Value) -> Result<Rehearsed, NoStart> {
        let now = Clock::Wall.now();
        let start = started(&plan, event, now)?;
        let known = Arc::clone(&participants);
        let choose = move |choosing: &Choosing<'_>| {
            known.with_capability(choosing.capability, choosing.over).next().map(|(name, _)| name.to_owned())
        };
        let rehearsal = Rehearsal::new(Arc::clone(&plan), start, now, Arc::new(choose));
        Ok(Rehearsed { plan, participants, rehearsal })
    }

    /// What each step would send, as far as that is known before anybody has answered.
    #[must_use]
    pub fn announced(&self) -> Vec<(String, Result<Request, Skipped>)> {
        let name = |step: StepIndex| self.plan.definition.step(step).name.clone();
        self.plan.definition.indices().map(|step| (name(step), self.request(step))).collect()
    }

    fn request(&self, step: StepIndex) -> Result<Request, Skipped> {
        let no_value = |failure: Failure| Skipped::NoValue(failure.message);
        match self.plan.definition.step(step).action {
            Action::Wait(_) | Action::Publish { .. } => return Err(Skipped::NoCall),
            Action::Call(_) => {}
        }
        if !self.rehearsal.is_asked(step).map_err(no_value)? {
            return Err(Skipped::NotWanted);
        }
        self.rehearsal.does(nobody(), step).map_err(no_value)
    }

    /// Why nothing is asked of the step's undo.
    fn without_undo(&self, step: StepIndex, done: &Request) -> Option<String> {
        match self.plan.definition.step(step).effects {
            Effects::ReadOnly => return Some("the step is readOnly".into()),
            Effects::Irreversible => return Some("the step has no undo".into()),
            Effects::Undo(_) => {}
        }
        let undo = self.rehearsal.undoes(nobody(), step, &Value::Null).ok()?;
        let is_another = undo.participant() != done.participant();
        is_another.then(|| format!("{} undoes it, another participant", undo.participant().unwrap_or_default()))
    }

    fn subject(&self, step: StepIndex, done: &Request, restart: Option<&Restart>) -> Subject {
        let command = CommandRef { step, direction: Direction::Do };
        Subject {
            script: Script::Step(RehearsedStep {
                rehearsal: self.rehearsal.clone(),
                step,
                saga: self.plan.definition.name.clone(),
                name: self.plan.definition.step(step).name.clone(),
                without_undo: self.without_undo(step, done),
            }),
            timeout: self.plan.policies.command(command).attempt_timeout,
            restart: restart.cloned(),
        }
    }

    async fn verify(&mut self, step: StepIndex, broker: &Settings, how: &How<'_>) -> anyhow::Result<StepReport> {
        let name = self.plan.definition.step(step).name.clone();
        let request = match self.request(step) {
            Ok(request) => request,
            Err(skipped) => return Ok(StepReport { step: name, sends: String::new(), found: Err(skipped) }),
        };
        let (sends, whom) = (told(&request), request.participant().unwrap_or_default());
        let Some(participant) = self.participants.get(whom) else {
            return Ok(StepReport { step: name, sends, found: Err(Skipped::Nobody(whom.to_owned())) });
        };
        let subject = self.subject(step, &request, how.restart);
        let verified = run(whom, participant, &subject, broker, how.reply_topic).await?;
        if let Some(result) = &verified.result {
            self.rehearsal.answered(step, result.clone());
        }
        Ok(StepReport { step: name, sends, found: Ok(verified) })
    }
}

/// How participants are asked.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// Topic for replies that no engine reads; `None`: one is made for each step.
    pub reply_topic: Option<&'a str>,
    /// How participants are restarted.
    pub restart: Option<&'a Restart>,
}

/// Asks the participants of all steps, and tells of each step as it is done with.
///
/// # Errors
/// As [`run`]; what was told until then holds.
pub async fn all_steps(
    mut rehearsed: Rehearsed,
    broker: &Settings,
    how: &How<'_>,
    mut tell: impl FnMut(&StepReport) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let plan = Arc::clone(&rehearsed.plan);
    for step in plan.definition.indices() {
        tell(&rehearsed.verify(step, broker, how).await?)?;
    }
    Ok(())
}

/// Of a saga that only shows what would be sent.
fn nobody() -> SagaId {
    SagaId::new(Timestamp(0), Shard(0), 0)
}

fn started(plan: &Plan, event: &Value, now: Timestamp) -> Result<Start, NoStart> {
    let trigger = &plan.definition.trigger;
    let record = Record {
        topic: trigger.topic.as_str().into(),
        partition: 0,
        offset: 0,
        timestamp: now,
        key: None,
        value: Some(event.to_string().into()),
        headers: trigger.event_type.iter().map(|event_type| text_header("ce_type", event_type.clone())).collect(),
    };
    match judge_for(&record, &plan.definition) {
        Disposition::Start(start) => Ok(*start),
        Disposition::Unwanted => Err(NoStart::Unwanted),
        Disposition::Poison(poison) => Err(NoStart::Poison(poison.message)),
    }
}
