//! What will happen next to a saga, and when.

use crate::{
    answerable::OutageLog,
    command::{CommandDirection, CommandRef, GuardOwner},
    state::{CommandPhase, SagaPhase, SagaPlan, SagaState},
    time::{Timestamp, rfc3339},
};
use serde::Serialize;

/// Something that will happen by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NextActivityView {
    /// What will happen, in words for people.
    pub what: String,
    /// When; `None`: when a guard lets it. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl NextActivityView {
    /// What and when, in words.
    #[must_use]
    pub fn text(&self) -> String {
        self.at.as_ref().map_or_else(|| self.what.clone(), |at| format!("{} at {at}", self.what))
    }
}

impl SagaState {
    /// What guards hold back, and then the nearest of what time brings.
    pub(super) fn next_view(&self, plan: &SagaPlan) -> Vec<NextActivityView> {
        match self.course {
            SagaPhase::Forward | SagaPhase::Compensating { .. } => {}
            SagaPhase::Parked { .. } | SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => return Vec::new(),
        }
        let held = self.commands().filter_map(|(command, _)| {
            let whose = self.held_in_line_of(plan, command)?;
            let until = match whose {
                GuardOwner::Participant(name) => format!("when calls to {name} are let through"),
                GuardOwner::Topic(topic) => format!("when topic {topic} takes records"),
            };
            Some(NextActivityView { what: format!("{} is sent {until}", named(plan, command)), at: None })
        });
        let timed = self.timed(plan).into_iter().min_by_key(|(at, _)| *at);
        let timed = timed.map(|(at, what)| NextActivityView { what, at: Some(rfc3339(at)) });
        held.chain(timed).collect()
    }

    fn timed(&self, plan: &SagaPlan) -> Vec<(Timestamp, String)> {
        let mut all: Vec<(Timestamp, String)> = Vec::new();
        for (command, _) in self.commands() {
            all.extend(self.timed_of(plan, command));
            let ends = self.step_ends(plan, command, &OutageLog::NONE);
            all.extend(ends.map(|at| (at, format!("the time of {} ends", named(plan, command)))));
        }
        all.extend(self.end_ahead(plan));
        all
    }

    fn timed_of(&self, plan: &SagaPlan, command: CommandRef) -> Vec<(Timestamp, String)> {
        let (it, name) = (self.command(command), named(plan, command));
        match &it.phase {
            CommandPhase::Idle | CommandPhase::Settled(_) => Vec::new(),
            CommandPhase::Held { .. } if self.held_in_line_of(plan, command).is_some() => Vec::new(),
            CommandPhase::Held { not_before, .. } => vec![(*not_before, format!("{name} is sent"))],
            CommandPhase::Resting { until } => vec![(*until, format!("attempt {} of {name} is sent", it.attempt + 1))],
            CommandPhase::Sleeping { until } => vec![(*until, format!("{name} is over"))],
            CommandPhase::Attempting(attempting) => {
                let asked =
                    attempting.ask_at().map(|at| (at, format!("{name}: the participant is asked how far it is")));
                let ends = attempting.ends(&OutageLog::NONE);
                let ends = ends.map(|at| (at, format!("attempt {} of {name} times out", it.attempt)));
                asked.into_iter().chain(ends).collect()
            }
        }
    }

    fn end_ahead(&self, plan: &SagaPlan) -> Option<(Timestamp, String)> {
        let at = self.deadline_ahead(plan)?;
        Some((at, format!("the saga's time ends ({})", self.at_its_end(plan))))
    }

    /// What the end of the saga's time leads to, as things stand.
    pub(super) fn at_its_end(&self, plan: &SagaPlan) -> &'static str {
        if self.pivot_passed(plan) { "then it is overdue and goes on" } else { "then it is compensated" }
    }
}

fn named(plan: &SagaPlan, command: CommandRef) -> String {
    let step = &plan.definition.step(command.step).name;
    match command.direction {
        CommandDirection::Do => step.clone(),
        CommandDirection::Undo => format!("the undo of {step}"),
    }
}
