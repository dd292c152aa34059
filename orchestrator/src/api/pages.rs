//! The web UI: server-rendered, no framework, every payload escaped by the template engine.

use super::{Backend, errors::Error, sagas, server};
use crate::journal::{
    history::{self, HistoryLine},
    reading::SagaLine,
};
use askama::Template;
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::{Html, IntoResponse, Response},
};
use saga_core::{
    id::SagaId,
    state::view::{SagaView, StepPhase, StepView},
};

/// Sagas on the first page.
const LINES: usize = 50;

struct ListedSaga {
    line: SagaLine,
    steps: Vec<StepView>,
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    counts: Vec<(String, String, i64)>,
    sagas: Vec<ListedSaga>,
}

#[derive(Template)]
#[template(path = "saga.html")]
struct SagaPage {
    saga: SagaView,
    history: Vec<HistoryLine>,
}

pub(super) async fn list(
    State(backend): State<Backend>,
    query: Result<Query<sagas::Asked>, QueryRejection>,
) -> Result<Response, Error> {
    let mut lines = sagas::lines(&backend, &sagas::checked(query)?).await?;
    lines.truncate(LINES);
    let mut listed = Vec::with_capacity(lines.len());
    for line in lines {
        listed.push(ListedSaga { steps: steps(&backend, &line).await, line });
    }
    let counts = backend.parts.store.counts().await?;
    Ok(page(&ListPage { counts, sagas: listed }))
}

/// A saga that cannot be read is shown without its steps.
async fn steps(backend: &Backend, line: &SagaLine) -> Vec<StepView> {
    let Ok(id) = line.id.parse::<SagaId>() else { return Vec::new() };
    match crate::journal::read(backend.parts.store.as_ref(), &backend.parts.plans, id).await {
        Ok(Some(recorded)) => recorded.state.view(&recorded.plan).steps,
        Ok(None) | Err(_) => Vec::new(),
    }
}

pub(super) async fn saga(State(backend): State<Backend>, Path(id): Path<String>) -> Result<Response, Error> {
    let recorded = sagas::recorded(&backend, &id, None).await?;
    Ok(page(&SagaPage { saga: recorded.state.view(&recorded.plan), history: history::history(&recorded) }))
}

pub(super) async fn style() -> Response {
    server::text("text/css; charset=utf-8", include_str!("../../ui/saga.css"))
}

pub(super) async fn script() -> Response {
    server::text("text/javascript; charset=utf-8", include_str!("../../ui/saga.js"))
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => Error::Unreadable(error.to_string()).into_response(),
    }
}

/// The class and the sign of a step's mark; meaning is never in colour alone.
fn sign_of(phase: &StepPhase) -> (&'static str, &'static str) {
    match phase {
        StepPhase::Pending => ("pending", "·"),
        StepPhase::Running => ("running", "▶"),
        StepPhase::Waiting => ("waiting", "…"),
        StepPhase::Succeeded => ("succeeded", "✓"),
        StepPhase::Rejected => ("failed", "✗"),
        StepPhase::Failed => ("failed", "✗"),
        StepPhase::Unknown => ("unknown", "?"),
        StepPhase::Skipped => ("skipped", "–"),
        StepPhase::Undoing => ("undoing", "↶"),
        StepPhase::Undone => ("undone", "↺"),
        StepPhase::UndoFailed => ("failed", "!"),
    }
}

fn word_of(phase: &StepPhase) -> String {
    serde_json::to_value(phase).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What templates call.
trait Marks {
    fn mark(&self, phase: &StepPhase) -> (&'static str, &'static str) {
        sign_of(phase)
    }

    fn word(&self, phase: &StepPhase) -> String {
        word_of(phase)
    }
}

impl Marks for ListPage {}
impl Marks for SagaPage {}
