//! The definitions that may start sagas, by the topic that triggers them.

use saga_core::{definition::Definition, state::Plan};
use std::{collections::BTreeMap, sync::Arc};

/// All live definitions with the policies that a saga started now is pinned to.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    plans: Vec<Arc<Plan>>,
    by_topic: BTreeMap<String, Triggered>,
}

/// What one topic triggers, as plans and as their definitions, in the same order.
#[derive(Clone, Debug, Default)]
struct Triggered {
    plans: Vec<Arc<Plan>>,
    definitions: Vec<Arc<Definition>>,
}

impl Catalog {
    /// A catalog of `plans`; their names are unique.
    #[must_use]
    pub fn new(plans: Vec<Arc<Plan>>) -> Catalog {
        let mut by_topic: BTreeMap<String, Triggered> = BTreeMap::new();
        for plan in &plans {
            let triggered = by_topic.entry(plan.definition.trigger.topic.clone()).or_default();
            triggered.plans.push(Arc::clone(plan));
            triggered.definitions.push(Arc::clone(&plan.definition));
        }
        Catalog { plans, by_topic }
    }

    /// All of them.
    #[must_use]
    pub fn plans(&self) -> &[Arc<Plan>] {
        &self.plans
    }

    /// The topics to read.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.by_topic.keys().map(String::as_str)
    }

    /// The definitions that `topic` triggers.
    #[must_use]
    pub fn of_topic(&self, topic: &str) -> &[Arc<Plan>] {
        self.by_topic.get(topic).map_or(&[], |triggered| &triggered.plans)
    }

    /// The same as definitions, in the same order.
    #[must_use]
    pub fn definitions_of(&self, topic: &str) -> &[Arc<Definition>] {
        self.by_topic.get(topic).map_or(&[], |triggered| &triggered.definitions)
    }

    /// The definition called `name`.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Plan>> {
        self.plans.iter().find(|plan| plan.definition.name == name)
    }
}
