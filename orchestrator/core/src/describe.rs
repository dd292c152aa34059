//! A saga as people and programs are shown it. Above all rules: nothing that decides, folds or reacts knows this
//! module.

mod focus;
mod needs;
mod next;
mod prospect;
mod sent;
mod step;

use crate::{
    answerable::OutageLog,
    command::{CommandDirection, CommandFailure},
    event::{ForkOrigin, SagaEnd},
    id::StepIndex,
    state::{SagaErasure, SagaIncident, SagaPhase, SagaPlan, SagaState, SagaStatus},
    time::{Timestamp, rfc3339},
    words,
};
use serde::Serialize;
use serde_json::Value;

pub use needs::OperatorNeedView;
pub use next::NextActivityView;
pub use prospect::ActPreview;
pub use sent::{RequestView, TriggerView, body};
pub use step::{StepPhase, StepView, SubstituteView};

/// One saga as it is shown in full: its status, its steps, its trigger and its incidents.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaView {
    /// The saga's id: a UUID of version 7.
    pub id: String,
    /// Name of its definition.
    pub saga: String,
    /// The business key, unique among the sagas of the definition.
    pub key: String,
    /// The saga's status now, derived from its journal.
    pub status: SagaStatus,
    /// The step it is at or waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Why it is where it is, if that needs a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why its journal cannot be read: then little more than what lists show is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// When its first row was decided; RFC 3339, UTC.
    pub started_at: String,
    /// When its last row was decided; RFC 3339, UTC.
    pub updated_at: String,
    /// When something happens by itself, whatever guards hold back; RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_due: Option<String>,
    /// What happens next: what guards hold back goes on when they let it, and the nearest of what time brings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<NextActivityView>,
    /// When its time ends, as long as that matters: before the pivot it is undone then, after it, it is overdue. `None`
    /// while it is parked, because that time does not count. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// Guards that hold commands of the saga back, such as `breaker:payments`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits_on: Vec<String>,
    /// Hash of the text of the definition that it runs by.
    pub definition: String,
    /// Id of the trace that it belongs to; `None`: its journal cannot be read, or it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Version of the last row of its journal.
    pub version: u32,
    /// Its time ended after the pivot.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub overdue: bool,
    /// What it waits for a person for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs_person: Vec<OperatorNeedView>,
    /// The saga that it runs again, and the act that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<ForkOrigin>,
    /// Id of the saga that runs it again. The journal does not say it: whoever reads the store adds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerun_as: Option<String>,
    /// The record that started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerView>,
    /// In the order of the definition.
    pub steps: Vec<StepView>,
    /// The output of a completed saga.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Who took out what the saga carried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased: Option<ErasureView>,
    /// What a person should look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<IncidentView>,
}

/// The act by which a saga was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErasureView {
    /// When it was recorded; RFC 3339, UTC.
    pub at: String,
    /// The operator.
    pub who: String,
    /// The operator's reason.
    pub reason: String,
}

impl ErasureView {
    /// The act as it is told.
    #[must_use]
    pub fn of(erased: &SagaErasure) -> ErasureView {
        ErasureView { at: rfc3339(erased.at), who: erased.who.clone(), reason: erased.reason.clone() }
    }
}

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IncidentView {
    /// When the row that opened it was decided; RFC 3339, UTC.
    pub at: String,
    /// The step it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Which of the step's commands it is about, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<CommandDirection>,
    /// What happened; its code says of which kind the incident is.
    pub failure: CommandFailure,
}

impl IncidentView {
    fn of(plan: &SagaPlan, incident: &SagaIncident) -> IncidentView {
        IncidentView {
            at: rfc3339(incident.at),
            step: incident.step.map(|step| plan.definition.step(step).name.clone()),
            direction: incident.direction,
            failure: incident.failure.clone(),
        }
    }

    /// What it is about and what happened, in words.
    #[must_use]
    pub fn text(&self) -> String {
        words::incident(self.step.as_deref(), self.direction, &self.failure)
    }
}

impl SagaState {
    /// The view of the whole saga, at the time of its last row.
    #[must_use]
    pub fn view(&self, plan: &SagaPlan) -> SagaView {
        let (step, reason) = self.focus(plan);
        let name = |step: StepIndex| plan.definition.step(step).name.clone();
        SagaView {
            id: self.id.to_string(),
            saga: plan.definition.name.clone(),
            key: self.key.clone(),
            status: self.status(),
            step: step.map(name),
            reason,
            unreadable: None,
            started_at: rfc3339(self.started_at),
            updated_at: rfc3339(self.last_at),
            next_due: self.next_due_beside_guards(plan).map(rfc3339),
            next: self.next_view(plan),
            deadline: self.deadline_ahead(plan).map(rfc3339),
            waits_on: self.held_by(plan).iter().map(ToString::to_string).collect(),
            definition: plan.definition.hash.clone(),
            trace_id: self.erased.is_none().then(|| self.trace().trace.to_string()),
            version: self.version,
            overdue: self.overdue,
            needs_person: self.needs_view(plan),
            forked_from: self.forked_from.as_deref().cloned(),
            rerun_as: None,
            trigger: Some(TriggerView::of(&self.trigger)),
            steps: plan.definition.indices().map(|step| self.step_view(plan, step)).collect(),
            output: self.completed_output(),
            erased: self.erased.as_ref().map(ErasureView::of),
            incidents: self.incidents.iter().map(|incident| IncidentView::of(plan, incident)).collect(),
        }
    }

    fn deadline_ahead(&self, plan: &SagaPlan) -> Option<Timestamp> {
        match &self.course {
            SagaPhase::Forward if !self.overdue => self.deadline(plan, &OutageLog::NONE, self.last_at),
            SagaPhase::Forward
            | SagaPhase::Compensating { .. }
            | SagaPhase::Parked { .. }
            | SagaPhase::OutcomeDue { .. }
            | SagaPhase::Ended(_) => None,
        }
    }

    fn completed_output(&self) -> Option<Value> {
        match &self.course {
            SagaPhase::Ended(SagaEnd::Completed { output }) if !output.is_null() => Some(output.clone()),
            SagaPhase::Ended(_)
            | SagaPhase::Forward
            | SagaPhase::Compensating { .. }
            | SagaPhase::Parked { .. }
            | SagaPhase::OutcomeDue { .. } => None,
        }
    }
}
