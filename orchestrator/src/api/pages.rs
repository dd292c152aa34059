//! The web UI: server-rendered, no framework, every payload escaped by the template engine.

use super::{
    Backend,
    errors::{Error, Told},
    sagas, server,
};
use crate::journal::{history::HistoryLine, reading::SagaLine};
use askama::Template;
use axum::{
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::{StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use saga_core::{
    id::SagaId,
    state::view::{SagaView, StepPhase, StepView},
};

/// Sagas on a page of the list.
const LINES: u32 = 50;

struct ListedSaga {
    line: SagaLine,
    steps: Vec<StepView>,
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    counts: Vec<(String, String, i64)>,
    sagas: Vec<ListedSaga>,
    /// The query of the next page, if there is one.
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    status: StatusCode,
    told: Told,
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
    let asked = sagas::checked(query)?.page(LINES)?;
    let mut lines = sagas::lines(&backend, &asked).await?;
    let has_more = lines.len() > asked.shown();
    lines.truncate(asked.shown());
    let next = lines.last().filter(|_| has_more).map(|last| asked.next(&last.id));
    let mut listed = Vec::with_capacity(lines.len());
    for line in lines {
        listed.push(ListedSaga { steps: steps(&backend, &line).await, line });
    }
    let counts = backend.parts.store.counts().await?;
    Ok(page(&ListPage { counts, sagas: listed, next }))
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
    let shown = sagas::shown(&backend, &id, None).await?;
    Ok(page(&SagaPage { saga: shown.view(), history: shown.history() }))
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

/// A browser that asks for a page gets one, also where the answer is an error.
pub(super) async fn errors_as_pages(request: Request, next: Next) -> Response {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let wants_page = accepted.is_some_and(|accepted| accepted.contains("text/html"));
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Told>() {
        Some(told) if wants_page => {
            let status = response.status();
            (status, page(&ErrorPage { status, told })).into_response()
        }
        Some(_) | None => response,
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
