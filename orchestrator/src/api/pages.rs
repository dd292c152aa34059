//! The web UI: server-rendered, no framework, every payload escaped by the template engine.

use super::{
    Backend,
    errors::{Error, Told},
    sagas, server,
};
use crate::guarded::Holding;
use crate::journal::{
    history::HistoryLine,
    payloads::Payloads,
    reading::{Looked, SagaLine},
};
use askama::Template;
use axum::{
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::{StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use saga_core::state::{
    Status,
    view::{SagaView, StepPhase},
};
use saga_event_store::Standing;

/// Sagas on a page of the list.
const LINES: u32 = 50;

struct ListedSaga {
    line: SagaLine,
    /// None of a saga that cannot be read.
    steps: Vec<(String, StepPhase)>,
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    /// What goes on, by status; empty where the store does not say.
    counts: Vec<(Status, i64)>,
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
    held_by: Vec<Holding>,
    history: Vec<HistoryLine>,
    /// Whether payloads are shown whole.
    is_full: bool,
}

pub(super) async fn list(
    State(backend): State<Backend>,
    query: Result<Query<sagas::Asked>, QueryRejection>,
) -> Result<Response, Error> {
    let asked = sagas::checked(query)?.page(LINES)?;
    let (mut lines, mut steps) = sagas::lines_and_steps(&backend, &asked, Looked::All).await?;
    let has_more = lines.len() > asked.shown();
    lines.truncate(asked.shown());
    let next = lines.last().filter(|_| has_more).map(|last| asked.next(&last.id));
    let mut steps_of = |line: &SagaLine| line.id.parse().ok().and_then(|id| steps.remove(&id)).unwrap_or_default();
    let listed = lines.into_iter().map(|line| ListedSaga { steps: steps_of(&line), line }).collect();
    let counted = backend.census.now().await;
    let counts = counted.map_or_else(Vec::new, |counted| by_status(&counted.standing));
    Ok(page(&ListPage { counts, sagas: listed, next }))
}

/// What people may have to do something about comes first, also where there is none of it.
fn by_status(standing: &[Standing]) -> Vec<(Status, i64)> {
    let of = |status: Status| standing.iter().filter(move |one| one.status == status.as_str());
    Status::OPEN.map(|status| (status, of(status).map(|one| one.streams).sum())).into()
}

pub(super) async fn saga(
    State(backend): State<Backend>,
    Path(id): Path<String>,
    named: Result<Query<sagas::Named>, QueryRejection>,
) -> Result<Response, Error> {
    let named = sagas::checked(named)?;
    let payloads = named.payloads()?;
    let (shown, _) = sagas::shown(&backend, named.of(&id)).await?;
    let saga = payloads.of_saga(shown.view());
    let held_by = backend.parts.guarded.holdings(&saga.waits_on);
    let history = payloads.of_history(shown.history());
    Ok(page(&SagaPage { saga, held_by, history, is_full: payloads == Payloads::Full }))
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
