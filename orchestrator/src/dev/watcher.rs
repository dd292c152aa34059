//! Watches the commits of the engine: counts the sagas, and shows them on the terminal.

use super::{
    narrator,
    tally::SagaTally,
    terminal::{NarrationLine, NarrationMark, TerminalWriter},
};
use crate::shell::quoted;
use saga_core::{
    event::{SagaDecision, SagaEvent},
    id::SagaId,
    state::{SagaPlan, SagaState},
};
use saga_engine::observer::CommitObserver;
use std::{sync::Arc, time::Instant};
use tokio::sync::watch;

/// Sends the tally to the tasks that wait for its change.
pub(super) type TallySender = Arc<watch::Sender<SagaTally>>;

/// Shows and counts every commit, as a [`CommitObserver`].
#[derive(Debug)]
pub(super) struct DevObserver {
    pub(super) board: TallySender,
    pub(super) terminal: TerminalWriter,
    pub(super) begun: Instant,
    /// The start of the command for a parked saga; `None`: the run ends by itself, so no operator could type it.
    pub(super) advice: Option<String>,
}

impl CommitObserver for DevObserver {
    fn committed(&self, _saga: SagaId, plan: &SagaPlan, state: &SagaState, decision: &SagaDecision) {
        let now = Instant::now();
        let name = (plan.definition.name.clone(), state.key.clone());
        self.board.send_modify(|tally| tally.committed(name, state.status(), now));
        let seconds = now.duration_since(self.begun).as_secs_f64();
        for fact in narrator::narrate(plan, state, decision) {
            self.terminal.show(seconds, &state.key, &fact);
        }
        let is_parked = decision.events.iter().any(|event| matches!(event, SagaEvent::SagaParked { .. }));
        if let Some(advice) = self.advice.as_ref().filter(|_| is_parked) {
            let text = format!("to try again: {advice} {} --reason \"the courier found a way\"", quoted(&state.key));
            self.terminal.show(
                seconds,
                &state.key,
                &NarrationLine { step: String::new(), mark: NarrationMark::Parked, text },
            );
        }
    }
}
