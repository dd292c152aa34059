//! The page of guards: a card for each participant, with the acts that fit it.

use super::{super::Backend, Marks, page};
use askama::Template;
use axum::{extract::State, response::Response};
use saga_core::time::{Timestamp, rfc3339};
use saga_engine::overrides::RecordedAct;
use saga_resilience::{lifecycle::Lifecycle, snapshot::ParticipantSnapshot};

#[derive(Template)]
#[template(path = "guards.html")]
struct GuardsPage {
    cards: Vec<Card>,
    /// The chain of participants that need each other whose attempts take longest.
    path: Option<String>,
}

struct Card {
    /// Why calls are held back, in words.
    held: Option<String>,
    /// The last act of those in force.
    in_force: Option<RecordedAct>,
    guard: ParticipantSnapshot,
}

impl Marks for GuardsPage {}

impl GuardsPage {
    fn time(&self, at: &Timestamp) -> String {
        rfc3339(*at)
    }
}

impl Card {
    fn of(backend: &Backend, guard: ParticipantSnapshot) -> Card {
        let in_force = backend.parts.acts.in_force(&guard.name).map(|in_force| in_force.by);
        Card { held: guard.held_back(), in_force, guard }
    }

    fn class(&self) -> &'static str {
        match self.guard.lifecycle {
            Lifecycle::Registered | Lifecycle::Stopping => "pending",
            Lifecycle::Starting | Lifecycle::Degraded => "waiting",
            Lifecycle::Running => "succeeded",
            Lifecycle::Failed => "failed",
        }
    }
}

pub(crate) async fn guards(State(backend): State<Backend>) -> Response {
    let guarded = &backend.parts.guarded;
    let cards = guarded.snapshot().into_iter().map(|guard| Card::of(&backend, guard)).collect();
    let path = guarded.critical_path().map(|path| format!("{} ({:?})", path.names.join(" → "), path.total));
    page(&GuardsPage { cards, path })
}
