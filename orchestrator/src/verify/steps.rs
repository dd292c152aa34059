//! Tests every step of a definition that calls a participant, in order; the inputs follow from the event and from
//! earlier answers.

use super::{
    RehearsedStep, RestartMethod, VerificationReport, VerificationScript, VerificationSubject, run, script::told,
};
use saga_base::clock::EngineClock;
use saga_core::{
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest},
    decide::{CapabilityRequest, SagaRehearsal},
    definition::{ParticipantCatalog, StepAction, StepCompensation},
    id::{SagaId, ShardId, StepIndex},
    input::SagaStart,
    state::SagaPlan,
    time::Timestamp,
};
use saga_kafka::KafkaSettings;
use saga_wire::{
    KafkaRecord, PayloadSchema,
    record::text_header,
    trigger::{TriggerOutcome, evaluate_one},
};
use serde_json::Value;
use std::sync::Arc;

/// Why a step is not tested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StepSkipReason {
    /// The step calls no participant.
    #[error("it calls no participant")]
    NoCall,
    /// The `if` of the step is false.
    #[error("its `if` is false for this event")]
    NotWanted,
    /// An expression of its input or of its `if` has no value.
    #[error("its input has no value: {0}")]
    NoValue(String),
    /// participants.yaml does not have its participant.
    #[error("participants.yaml has no `{0}`")]
    NoParticipant(String),
}

/// A step, and the findings about its participant.
#[derive(Clone, Debug)]
pub(crate) struct StepReport {
    /// Name of the step.
    pub step: String,
    /// The command as it is typed; empty if the step is not tested.
    pub sends: String,
    /// The findings, or why the step is not tested.
    pub found: Result<VerificationReport, StepSkipReason>,
}

/// A definition, and the event that would start a saga of it.
#[derive(Clone, Debug)]
pub(crate) struct RehearsedDefinition {
    plan: Arc<SagaPlan>,
    participants: Arc<ParticipantCatalog>,
    rehearsal: SagaRehearsal,
}

/// Why the event starts no saga of the definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoStartError {
    /// The `when` of the trigger is false.
    #[error("the trigger's `when` is false for this event")]
    Unwanted,
    /// The event would become a dead letter.
    #[error("the event would be a dead letter: {0}")]
    Poison(String),
}

impl RehearsedDefinition {
    /// The saga that a record with this payload starts.
    ///
    /// # Errors
    /// When the record starts no saga.
    pub(crate) fn new(
        plan: Arc<SagaPlan>,
        participants: Arc<ParticipantCatalog>,
        event: &Value,
    ) -> Result<RehearsedDefinition, NoStartError> {
        let now = EngineClock::Wall.now();
        let start = started(&plan, event, now)?;
        let known = Arc::clone(&participants);
        let choose = move |choosing: &CapabilityRequest<'_>| {
            known.with_capability(choosing.capability, choosing.over).next().map(|(name, _)| name.to_owned())
        };
        let rehearsal = SagaRehearsal::new(Arc::clone(&plan), start, now, Arc::new(choose));
        Ok(RehearsedDefinition { plan, participants, rehearsal })
    }

    /// The request of each step, as far as it is known before the first answer.
    #[must_use]
    pub(crate) fn announced(&self) -> Vec<(String, Result<CommandRequest, StepSkipReason>)> {
        let name = |step: StepIndex| self.plan.definition.step(step).name.clone();
        self.plan.definition.indices().map(|step| (name(step), self.request(step))).collect()
    }

    fn request(&self, step: StepIndex) -> Result<CommandRequest, StepSkipReason> {
        let no_value = |failure: CommandFailure| StepSkipReason::NoValue(failure.message);
        match self.plan.definition.step(step).action {
            StepAction::Wait(_) | StepAction::Publish { .. } => return Err(StepSkipReason::NoCall),
            StepAction::Call(_) => {}
        }
        if !self.rehearsal.is_asked(step).map_err(no_value)? {
            return Err(StepSkipReason::NotWanted);
        }
        self.rehearsal.does(placeholder_id(), step).map_err(no_value)
    }

    /// Why the undo of the step is not tested; `None`: it is.
    fn without_undo(&self, step: StepIndex, done: &CommandRequest) -> Option<String> {
        match self.plan.definition.step(step).effects {
            StepCompensation::ReadOnly => return Some("the step is readOnly".into()),
            StepCompensation::Irreversible => return Some("the step has no undo".into()),
            StepCompensation::Undo(_) => {}
        }
        let undo = self.rehearsal.undoes(placeholder_id(), step, &Value::Null).ok()?;
        let is_another = undo.participant() != done.participant();
        is_another.then(|| format!("another participant, {}, undoes it", undo.participant().unwrap_or_default()))
    }

    fn subject(&self, step: StepIndex, done: &CommandRequest, restart: Option<&RestartMethod>) -> VerificationSubject {
        let command = CommandRef { step, direction: CommandDirection::Do };
        VerificationSubject {
            script: VerificationScript::Step(RehearsedStep {
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

    async fn verify(
        &mut self,
        step: StepIndex,
        broker: &KafkaSettings,
        how: &VerificationOptions<'_>,
    ) -> anyhow::Result<StepReport> {
        let name = self.plan.definition.step(step).name.clone();
        let request = match self.request(step) {
            Ok(request) => request,
            Err(skipped) => return Ok(StepReport { step: name, sends: String::new(), found: Err(skipped) }),
        };
        let (sends, whom) = (told(&request), request.participant().unwrap_or_default());
        let Some(participant) = self.participants.get(whom) else {
            return Ok(StepReport { step: name, sends, found: Err(StepSkipReason::NoParticipant(whom.to_owned())) });
        };
        let subject = self.subject(step, &request, how.restart);
        let verified = run(whom, participant, &subject, broker, how.reply_topic).await?;
        if let Some(result) = &verified.result {
            self.rehearsal.answered(step, result.clone());
        }
        Ok(StepReport { step: name, sends, found: Ok(verified) })
    }
}

/// Settings for all steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VerificationOptions<'a> {
    /// Topic for replies that no engine reads; `None`: a new one for each step.
    pub reply_topic: Option<&'a str>,
    /// How participants are restarted.
    pub restart: Option<&'a RestartMethod>,
}

/// Tests the participants of all steps, and reports each step when its checks have ended.
///
/// # Errors
/// As [`run`]; the reports until then stay valid.
pub(crate) async fn all_steps(
    mut rehearsed: RehearsedDefinition,
    broker: &KafkaSettings,
    how: &VerificationOptions<'_>,
    mut tell: impl FnMut(&StepReport) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let plan = Arc::clone(&rehearsed.plan);
    for step in plan.definition.indices() {
        tell(&rehearsed.verify(step, broker, how).await?)?;
    }
    Ok(())
}

/// The id of a saga that only shows the requests.
fn placeholder_id() -> SagaId {
    SagaId::new(Timestamp(0), ShardId(0), 0)
}

fn started(plan: &SagaPlan, event: &Value, now: Timestamp) -> Result<SagaStart, NoStartError> {
    let trigger = &plan.definition.trigger;
    let record = KafkaRecord {
        topic: trigger.topic.as_str().into(),
        partition: 0,
        offset: 0,
        timestamp: now,
        key: None,
        value: Some(event.to_string().into()),
        headers: trigger.event_type.iter().map(|event_type| text_header("ce_type", event_type.clone())).collect(),
    };
    match evaluate_one(&record, &PayloadSchema::Unneeded, &plan.definition) {
        TriggerOutcome::Start(start) => Ok(*start),
        TriggerOutcome::Unwanted | TriggerOutcome::Replayed => Err(NoStartError::Unwanted),
        TriggerOutcome::Poison(poison) => Err(NoStartError::Poison(poison.message)),
    }
}
