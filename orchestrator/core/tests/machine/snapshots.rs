//! Snapshots of a life, each of which has to lead where the whole journal leads.

use saga_core::{
    event::SagaDecision,
    snapshot,
    state::{SagaPlan, SagaState},
};
use std::collections::VecDeque;

/// Snapshots that were taken of a saga while it lived, as bytes, each with the number of plans that there were by then.
#[derive(Clone, Debug, Default)]
pub(crate) struct TakenSnapshots(VecDeque<(usize, Vec<u8>)>);

impl TakenSnapshots {
    /// Takes one of the state that an owner has, and keeps the last `most`.
    pub(crate) fn take(&mut self, plan: &SagaPlan, state: &SagaState, most: usize) {
        self.0.push_back((plan.chain().len(), serde_json::to_vec(state).expect("JSON")));
        if self.0.len() > most {
            self.0.pop_front();
        }
    }

    /// Each of them and the rows after it give the state that the whole journal folds to.
    pub(crate) fn lead_to(&self, plan: &SagaPlan, journal: &[SagaDecision], folded: &SagaState) {
        for (known, bytes) in &self.0 {
            let state: SagaState = serde_json::from_slice(bytes).expect("a snapshot reads back");
            let at = state.version;
            let rest = journal.iter().filter(|decision| decision.version > at).cloned().collect::<Vec<_>>();
            let resumed = snapshot::resumed(plan, *known, state, &rest).expect("the rest of a journal");
            assert_eq!(&resumed, folded, "the snapshot of version {at} leads elsewhere");
        }
    }
}
