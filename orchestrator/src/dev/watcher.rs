//! Watches the engine's commits: counts the sagas, and tells them on the terminal.

use super::{
    story,
    tally::Tally,
    terminal::{Fact, Mark, Terminal},
};
use crate::shell::quoted;
use saga_core::{
    event::{Decision, Event},
    id::SagaId,
    state::{Plan, State},
};
use saga_engine::observer::Observe;
use std::{sync::Arc, time::Instant};
use tokio::sync::watch;

/// The tally, and whoever waits for it to change.
pub(super) type Board = Arc<watch::Sender<Tally>>;

/// See [`Observe`].
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) board: Board,
    pub(super) terminal: Terminal,
    pub(super) begun: Instant,
    /// What to type when a saga is parked, up to its key; `None`: nobody could, because the run ends by itself.
    pub(super) advice: Option<String>,
}

impl Observe for Watcher {
    fn committed(&self, _saga: SagaId, plan: &Plan, state: &State, decision: &Decision) {
        let now = Instant::now();
        let name = (plan.definition.name.clone(), state.key.clone());
        self.board.send_modify(|tally| tally.committed(name, state.status(), now));
        let seconds = now.duration_since(self.begun).as_secs_f64();
        for fact in story::tell(plan, state, decision) {
            self.terminal.show(seconds, &state.key, &fact);
        }
        let is_parked = decision.events.iter().any(|event| matches!(event, Event::SagaParked { .. }));
        if let Some(advice) = self.advice.as_ref().filter(|_| is_parked) {
            let text = format!("to try again: {advice} {} --reason \"the courier found a way\"", quoted(&state.key));
            self.terminal.show(seconds, &state.key, &Fact { step: String::new(), mark: Mark::Parked, text });
        }
    }
}
