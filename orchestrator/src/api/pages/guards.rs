//! The page of guards: a card for each participant, with the acts that are possible.

use super::{super::ApiState, page};
use askama::Template;
use axum::{extract::State, response::Response};
use saga_core::time::{Timestamp, rfc3339};
use saga_engine::overrides::RecordedOverride;
use saga_resilience::{lifecycle::LifecyclePhase, snapshot::ParticipantSnapshot};

#[derive(Template)]
#[template(path = "guards.html")]
struct GuardsPage {
    cards: Vec<GuardCard>,
    /// The chain of participants that depend on each other whose attempts take longest.
    path: Option<String>,
}

struct GuardCard {
    /// Why calls are held back, as text.
    held: Option<String>,
    /// The last act of the override in effect.
    in_force: Option<RecordedOverride>,
    guard: ParticipantSnapshot,
}

impl GuardsPage {
    fn time(&self, at: &Timestamp) -> String {
        rfc3339(*at)
    }
}

impl GuardCard {
    fn of(backend: &ApiState, guard: ParticipantSnapshot) -> GuardCard {
        let in_force = backend.query.override_in_force(&guard.name).map(|in_force| in_force.by);
        GuardCard { held: guard.breaker_block_reason(), in_force, guard }
    }

    fn class(&self) -> &'static str {
        match self.guard.lifecycle {
            LifecyclePhase::Registered | LifecyclePhase::Stopping => "pending",
            LifecyclePhase::Starting | LifecyclePhase::Degraded => "waiting",
            LifecyclePhase::Running => "succeeded",
            LifecyclePhase::Failed => "failed",
        }
    }
}

pub(crate) async fn guards(State(backend): State<ApiState>) -> Response {
    let cards = backend.query.guards().into_iter().map(|guard| GuardCard::of(&backend, guard)).collect();
    let path = backend.query.critical_path().map(|path| format!("{} ({:?})", path.names.join(" → "), path.total));
    page(&GuardsPage { cards, path })
}
