//! The web UI: server-rendered, no framework, every payload escaped by the template engine.

mod audit;
mod causes;
mod dead_letters;
mod guards;
mod login;

pub(super) use audit::audit;
pub(super) use causes::causes;
pub(super) use dead_letters::{letter, letters};
pub(super) use guards::guards;
pub(super) use login::login;

use super::{
    ApiState,
    auth::ApiCaller,
    census::SagaCounts,
    content_reads,
    errors::{ApiError, ApiProblem},
    request,
    saga_query::SagaListQuery,
    sagas, server,
};
use crate::visible;
use askama::Template;
use axum::{
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::{StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use saga_core::{
    describe::{OperatorNeedView, SagaView, StepPhase},
    event::OperatorAction,
    state::SagaStatus,
};
use saga_engine::journal::{history::HistoryLine, payloads::PayloadDetail, reading::SagaLine, search::FoundSagas};
use saga_event_store::StreamStatusCount;
use saga_resilience::registry::blocking_guard::BlockingGuardView;
use serde_json::json;
use std::collections::BTreeSet;

/// Sagas per page of the list.
const LINES: u32 = 50;

struct ListedSaga {
    line: SagaLine,
    /// Empty for a saga that cannot be read.
    steps: Vec<(String, StepPhase)>,
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    /// Open sagas by status; empty if the store does not answer.
    counts: Vec<(SagaStatus, i64)>,
    /// Names of definitions for the filter.
    names: Vec<String>,
    participants: Vec<String>,
    asked: SagaListQuery,
    sagas: Vec<ListedSaga>,
    /// Why the list is empty: a name in the query that nothing has.
    slip: Option<String>,
    /// The query of the next page, if there is one.
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    status: StatusCode,
    told: ApiProblem,
}

#[derive(Template)]
#[template(path = "saga.html")]
struct SagaPage {
    saga: SagaView,
    held_by: Vec<BlockingGuardView>,
    history: Vec<HistoryLine>,
    /// The versions that a reader can look back at: 1 to this one.
    last_version: u32,
    /// Whether payloads are shown whole.
    is_full: bool,
}

pub(super) async fn list(
    State(backend): State<ApiState>,
    query: Result<Query<SagaListQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = request::checked(query)?.without_blanks().page(LINES)?;
    let (FoundSagas { mut lines, searched_to }, mut steps) = sagas::lines_and_steps(&backend, &asked).await?;
    let slip = if lines.is_empty() && searched_to.is_none() { sagas::slip(&backend, &asked).await? } else { None };
    let has_more = lines.len() > asked.shown();
    lines.truncate(asked.shown());
    let next = lines.last().filter(|_| has_more).map(|last| asked.next(&last.id));
    let next = next.or_else(|| searched_to.map(|saga| asked.next(&saga.to_string())));
    let mut steps_of = |line: &SagaLine| line.id.parse().ok().and_then(|id| steps.remove(&id)).unwrap_or_default();
    let listed = lines.into_iter().map(|line| ListedSaga { steps: steps_of(&line), line }).collect();
    let counted = backend.census.now().await;
    let counts = counted.as_ref().map_or_else(Vec::new, |counted| by_status(&counted.standing));
    let names = names(&backend, counted.as_deref(), asked.saga());
    let participants = waited_for(&backend, asked.waiting_on());
    Ok(page(&ListPage { counts, names, participants, asked, sagas: listed, slip, next }))
}

/// Definitions for the filter: those that this engine knows, those of open sagas, and the one of the query.
fn names(backend: &ApiState, counted: Option<&SagaCounts>, asked: &str) -> Vec<String> {
    let known = backend.query.known_plans();
    let known = known.iter().map(|plan| plan.definition.name.to_string());
    let open = counted.into_iter().flat_map(|counted| counted.sagas.iter().cloned());
    let asked = Some(asked.to_owned()).filter(|asked| !asked.is_empty());
    known.chain(open).chain(asked).collect::<BTreeSet<String>>().into_iter().collect()
}

/// Participants for the filter, and the guard of the query.
fn waited_for(backend: &ApiState, asked: &str) -> Vec<String> {
    let mut names = backend.query.participants();
    if !asked.is_empty() && !names.iter().any(|name| name == asked) {
        names.push(asked.to_owned());
    }
    names
}

/// Statuses that may need an operator come first, also with the number 0.
fn by_status(standing: &[StreamStatusCount]) -> Vec<(SagaStatus, i64)> {
    let of = |status: SagaStatus| standing.iter().filter(move |one| one.status == status.as_str());
    SagaStatus::OPEN.map(|status| (status, of(status).map(|one| one.streams).sum())).into()
}

pub(super) async fn saga(
    State(backend): State<ApiState>,
    Path(id): Path<String>,
    caller: ApiCaller,
    named: Result<Query<sagas::SagaLookupQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let named = request::checked(named)?;
    let payloads = caller.payloads(named.payloads()?);
    let (at, sensitive) = (named.at()?, caller.sensitive(named.sensitive.as_deref())?);
    let (shown, _) = sagas::shown(&backend, named.of(&id), at).await?;
    let view = backend.query.with_rerun(shown.view(sensitive)).await?;
    content_reads::seen(&backend, &caller, (payloads, sensitive), &view.id).await?;
    let saga = payloads.of_saga(view);
    let last_version = match at {
        Some(_) => sagas::last_version(&backend, &saga.id).await?,
        None => saga.version,
    };
    let is_past = saga.version < last_version;
    let held_by = if is_past { Vec::new() } else { backend.query.blocking_guards(&saga.waits_on) };
    let history = payloads.of_history(shown.history(sensitive));
    Ok(page(&SagaPage { saga, held_by, history, last_version, is_full: payloads == PayloadDetail::Full }))
}

pub(super) async fn style() -> Response {
    server::text("text/css; charset=utf-8", include_str!("../../ui/saga.css"))
}

pub(super) async fn job_script() -> Response {
    server::text("text/javascript; charset=utf-8", include_str!("../../ui/job.js"))
}

pub(super) async fn act_script() -> Response {
    server::text("text/javascript; charset=utf-8", include_str!("../../ui/act.js"))
}

pub(super) async fn script() -> Response {
    server::text("text/javascript; charset=utf-8", include_str!("../../ui/saga.js"))
}

pub(super) async fn visible_script() -> Response {
    let script = include_str!("../../ui/visible.js").replace("HIDDEN_SIGNS", &visible::class_for_scripts());
    server::text("text/javascript; charset=utf-8", script)
}

pub(super) fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => ApiError::Unreadable(error.to_string()).into_response(),
    }
}

/// A browser that asks for a page gets a page, also for an error.
pub(super) async fn errors_as_pages(request: Request, next: Next) -> Response {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let wants_page = accepted.is_some_and(|accepted| accepted.contains("text/html"));
    let mut response = next.run(request).await;
    if !wants_page {
        return response;
    }
    match response.extensions_mut().remove::<ApiProblem>() {
        Some(told) => {
            let status = response.status();
            (status, page(&ErrorPage { status, told })).into_response()
        }
        None => response,
    }
}

/// The class and the sign of the mark of a step; the sign says the same as the colour.
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

/// What an act does, for the dialog.
fn says(act: OperatorAction) -> &'static str {
    match act {
        OperatorAction::Retry => "The engine tries again now what failed.",
        OperatorAction::Skip => {
            "The step counts as done, and the saga goes on. If the step may have happened, a compensation undoes it."
        }
        OperatorAction::Cancel => {
            "The engine undoes every step that was or may have been done, the last one first. Not after the pivot."
        }
        OperatorAction::Abandon => {
            "The saga ends as it is. What was done stays done and is recorded. No outcome event is published."
        }
        OperatorAction::Migrate => {
            "The saga goes on by another text of its definition, if that fits where it stands. What has begun stays."
        }
        OperatorAction::Erase => {
            "What the saga was given, sent and was answered is removed for ever. Its steps, times and codes stay."
        }
    }
}

impl ErrorPage {
    fn needs_login(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }
}

impl ListPage {
    fn statuses(&self) -> [SagaStatus; 7] {
        SagaStatus::ALL
    }
}

impl SagaPage {
    /// Whether the page shows the saga as it was, and not as it is.
    fn is_past(&self) -> bool {
        self.saga.version < self.last_version
    }

    /// The query of this page at another version; the last one is the saga as it is.
    fn at(&self, version: u32) -> String {
        let payloads = if self.is_full { "full" } else { "short" };
        if version >= self.last_version {
            format!("?payloads={payloads}")
        } else {
            format!("?payloads={payloads}&at={version}")
        }
    }

    /// Acts on the whole saga.
    fn acts(&self) -> &'static [OperatorAction] {
        if self.saga.status.is_terminal() {
            return &[OperatorAction::Erase];
        }
        &[OperatorAction::Retry, OperatorAction::Cancel, OperatorAction::Abandon]
    }

    fn says(&self, act: &OperatorAction) -> &'static str {
        says(*act)
    }

    /// The fields of an act on the step of `need`, without who and reason.
    fn body_of(&self, need: &OperatorNeedView) -> String {
        json!({"step": need.step, "direction": need.direction}).to_string()
    }
}
