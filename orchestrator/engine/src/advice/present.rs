//! The settings that are in effect for sagas that start now, and where they are written.

use super::{
    observed::ObservedCommand,
    setting::{SettingKey, SettingScope},
};
use saga_core::{
    command::{CommandDirection, CommandRef},
    definition::{ParticipantCatalog, ParticipantConfig, ParticipantSelector, StepCompensation, line_of},
    policy::{AttemptLimit, RetryPolicy, SagaPolicies},
    state::SagaPlan,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A participants.yaml that is given beside the store.
#[derive(Clone, Debug)]
pub struct GivenParticipants {
    /// The name of the file, for messages.
    pub file: String,
    /// Its text.
    pub text: String,
    /// What it says.
    pub participants: ParticipantCatalog,
}

/// A definition as its file has it now.
#[derive(Clone, Debug)]
pub struct GivenDefinition {
    /// The name of the file, for messages.
    pub file: String,
    /// What new sagas run by.
    pub plan: Arc<SagaPlan>,
}

/// Definitions and participants as they are now.
#[derive(Debug, Default)]
pub(super) struct PresentSettings {
    pub(super) plans: BTreeMap<String, Arc<SagaPlan>>,
    pub(super) participants: Option<GivenParticipants>,
    /// Names of the files of definitions, by definition.
    pub(super) files: BTreeMap<String, String>,
}

impl PresentSettings {
    /// Of a plan that sagas began with, the policies that the given participants make of it now.
    pub(super) fn add(&mut self, plan: &Arc<SagaPlan>) {
        let plan = match &self.participants {
            Some(given) => {
                let policies = SagaPolicies::resolve(&plan.definition, &given.participants);
                Arc::new(SagaPlan::new(Arc::clone(&plan.definition), Arc::new(policies)))
            }
            None => Arc::clone(plan),
        };
        self.plans.insert(plan.definition.name.clone(), plan);
    }

    pub(super) fn add_given(&mut self, given: GivenDefinition) {
        self.files.insert(given.plan.definition.name.clone(), given.file);
        self.add(&given.plan);
    }

    pub(super) fn participant(&self, name: &str) -> Option<&ParticipantConfig> {
        self.participants.as_ref()?.participants.get(name)
    }

    /// The longest timeout of an attempt among the steps that name the participant.
    pub(super) fn longest_timeout(&self, participant: &str) -> Option<Duration> {
        let steps = self.plans.values().flat_map(|plan| plan.definition.steps.iter().zip(&plan.policies.steps));
        let of_it = steps.filter(|(step, _)| {
            step.whom().is_some_and(|whom| *whom == ParticipantSelector::Participant(participant.to_owned()))
        });
        of_it.map(|(_, policy)| policy.forward.attempt_timeout).max()
    }

    fn of_command(&self, command: &ObservedCommand) -> Option<(&SagaPlan, CommandRef)> {
        let plan = self.plans.get(&command.definition)?;
        let step = plan.definition.find(&command.step)?;
        Some((plan, CommandRef { step, direction: command.direction }))
    }

    /// The timeout of an attempt of a command; `None`: its definition has the step no more.
    pub(super) fn timeout(&self, command: &ObservedCommand) -> Option<(SettingScope, SettingKey, Duration)> {
        let (plan, at) = self.of_command(command)?;
        let step = plan.definition.step(at.step);
        let (saga, name) = (command.definition.clone(), command.step.clone());
        let said = match (command.direction, &step.effects) {
            (CommandDirection::Do, _) => {
                step.overrides.attempt_timeout.map(|_| SettingScope::Step { saga, step: name })
            }
            (CommandDirection::Undo, StepCompensation::Undo(undo)) => {
                undo.overrides.attempt_timeout.map(|_| SettingScope::Undo { saga, step: name })
            }
            (CommandDirection::Undo, StepCompensation::ReadOnly | StepCompensation::Irreversible) => None,
        };
        let span = plan.policies.command(at).attempt_timeout;
        Some(match said {
            Some(scope) => (scope, SettingKey::AttemptTimeout, span),
            None => {
                let span = self.participant(&command.participant).map_or(span, |config| config.timeout);
                (SettingScope::Participant(command.participant.clone()), SettingKey::Timeout, span)
            }
        })
    }

    /// The retry policy of a do; `None`: its definition has the step no more, or tries it for ever.
    pub(super) fn retry(&self, command: &ObservedCommand) -> Option<(SettingScope, RetryPolicy)> {
        let (plan, at) = self.of_command(command)?;
        let step = plan.definition.step(at.step);
        let (saga, name) = (command.definition.clone(), command.step.clone());
        let scope = if step.overrides.retry.is_some() {
            SettingScope::Step { saga, step: name }
        } else if plan.definition.defaults.retry.is_some() {
            SettingScope::Saga(saga)
        } else {
            SettingScope::Participant(command.participant.clone())
        };
        let policy = plan.policies.command(at).retry.clone();
        (policy.attempts != AttemptLimit::Forever).then_some((scope, policy))
    }

    /// The file and the line at which a setting is written, or at which it would be.
    pub(super) fn place(&self, scope: &SettingScope, key: SettingKey) -> String {
        let (file, text) = match scope.saga() {
            None => match &self.participants {
                Some(given) => (given.file.clone(), given.text.as_str()),
                None => return "participants.yaml, which was not given".to_owned(),
            },
            Some(saga) => match self.plans.get(saga) {
                Some(plan) => (self.file_of(saga), plan.definition.text.as_str()),
                None => return self.file_of(saga),
            },
        };
        let (above, mut path) = (scope.path(), scope.path());
        path.push(key.as_str());
        match (line_of(text, &path), line_of(text, &above)) {
            (Some(line), _) => format!("{file}:{line}"),
            (None, Some(line)) => format!("{file}:{line}, by default"),
            (None, None) => file,
        }
    }

    pub(super) fn file_of(&self, saga: &str) -> String {
        self.files.get(saga).cloned().unwrap_or_else(|| format!("{saga}.saga.yaml"))
    }
}
