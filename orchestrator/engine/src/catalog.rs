//! The definitions that may start sagas, by the topic that triggers them.

use saga_core::{definition::SagaDefinition, state::SagaPlan};
use std::{collections::BTreeMap, sync::Arc};

/// All live definitions with the policies that a saga started now is pinned to.
#[derive(Clone, Debug, Default)]
pub struct DefinitionCatalog {
    plans: Vec<Arc<SagaPlan>>,
    by_topic: BTreeMap<String, TopicDefinitions>,
}

/// What one topic triggers, as plans and as their definitions, in the same order.
#[derive(Clone, Debug, Default)]
struct TopicDefinitions {
    plans: Vec<Arc<SagaPlan>>,
    definitions: Vec<Arc<SagaDefinition>>,
}

impl DefinitionCatalog {
    /// A catalog of `plans`; their names are unique.
    #[must_use]
    pub fn new(plans: Vec<Arc<SagaPlan>>) -> DefinitionCatalog {
        let mut by_topic: BTreeMap<String, TopicDefinitions> = BTreeMap::new();
        for plan in &plans {
            let triggered = by_topic.entry(plan.definition.trigger.topic.clone()).or_default();
            triggered.plans.push(Arc::clone(plan));
            triggered.definitions.push(Arc::clone(&plan.definition));
        }
        DefinitionCatalog { plans, by_topic }
    }

    /// The plans of all definitions that may start sagas.
    #[must_use]
    pub fn plans(&self) -> &[Arc<SagaPlan>] {
        &self.plans
    }

    /// The trigger topics of all definitions.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.by_topic.keys().map(String::as_str)
    }

    /// The definitions that `topic` triggers.
    #[must_use]
    pub fn of_topic(&self, topic: &str) -> &[Arc<SagaPlan>] {
        self.by_topic.get(topic).map_or(&[], |triggered| &triggered.plans)
    }

    /// The same as definitions, in the same order.
    #[must_use]
    pub fn definitions_of(&self, topic: &str) -> &[Arc<SagaDefinition>] {
        self.by_topic.get(topic).map_or(&[], |triggered| &triggered.definitions)
    }

    /// The plan of the definition called `name`, if it may start sagas.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<SagaPlan>> {
        self.plans.iter().find(|plan| plan.definition.name == name)
    }
}
