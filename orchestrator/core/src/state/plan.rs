//! What a saga runs by: its definition and its policies.

use crate::{definition::SagaDefinition, policy::SagaPolicies};
use std::sync::Arc;

/// What a saga runs by: pinned when it starts.
#[derive(Clone, Debug)]
pub struct SagaPlan {
    /// The definition whose steps the saga runs.
    pub definition: Arc<SagaDefinition>,
    /// Retries and timeouts, resolved.
    pub policies: Arc<SagaPolicies>,
    /// Hash of the policies' canonical text.
    pub policies_hash: String,
    /// What the saga ran by before an operator gave it this: its journal is folded by each in its time.
    pub before: Option<Arc<SagaPlan>>,
}

/// By what was written: the way there makes no difference.
impl PartialEq for SagaPlan {
    fn eq(&self, other: &SagaPlan) -> bool {
        self.definition.hash == other.definition.hash && self.policies_hash == other.policies_hash
    }
}

impl SagaPlan {
    /// The plan of `definition` under `policies`.
    #[must_use]
    pub fn new(definition: Arc<SagaDefinition>, policies: Arc<SagaPolicies>) -> SagaPlan {
        let policies_hash = policies.hash();
        SagaPlan { definition, policies, policies_hash, before: None }
    }

    /// The same for a saga that ran by `before` until now.
    #[must_use]
    pub fn after(&self, before: Arc<SagaPlan>) -> SagaPlan {
        SagaPlan { before: Some(before), ..self.clone() }
    }

    /// What the saga ran by one after the other, this one last.
    #[must_use]
    pub fn chain(&self) -> Vec<&SagaPlan> {
        let mut chain: Vec<&SagaPlan> = std::iter::successors(Some(self), |plan| plan.before.as_deref()).collect();
        chain.reverse();
        chain
    }
}
