//! Projections as people see them: their rows, and how far these are.

use super::archived::{self, LeftOutArchive};
use super::lookup::{SAGA_LIST, UnknownProjection, find, names};
use saga_core::time::{Timestamp, rfc3339};
use saga_event_store::{ArchiveReading, EventStore, FeedExtent, ProjectionGeneration, StoreError};
use serde::Serialize;
use serde_json::{Value, json};

/// A projection, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionView {
    /// The name.
    pub projection: String,
    /// Its rows are written with each append, so they are never behind.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub current: bool,
    /// The generation whose rows are shown; `None`: the first one is still being built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<BuildView>,
    /// The generation that is built beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub building: Option<BuildView>,
}

/// How far a generation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildView {
    /// Its number.
    pub generation: i64,
    /// The cursor of the last row of the feed that its rows contain.
    pub position: String,
    /// When that row was recorded, in RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// How much later the newest row of the feed was recorded.
    pub behind_ms: i64,
    /// The number of the last archive that is being read. The feed comes after them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads_archives: Option<i64>,
    /// Archives that its rows lack.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutArchive>,
    /// Why it does not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Rows of a projection.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionPage {
    /// The projection, and how far its rows are.
    #[serde(flatten)]
    pub view: ProjectionView,
    /// The rows by key; each has its `key` and its `row`.
    pub rows: Vec<Value>,
    /// The key after which the next page begins; `None`: there are no more rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The list of sagas, every projection of this build, and how far each is.
///
/// # Errors
/// When the store does not answer.
pub async fn views(store: &dyn EventStore) -> Result<Vec<ProjectionView>, StoreError> {
    let (all, extent) = (store.projections().await?, store.feed_extent().await?);
    let list = ProjectionView { projection: SAGA_LIST.to_owned(), current: true, live: None, building: None };
    Ok([list].into_iter().chain(names().into_iter().map(|name| view(name, &all, &extent))).collect())
}

fn view(name: &str, all: &[ProjectionGeneration], extent: &FeedExtent) -> ProjectionView {
    let of = || all.iter().rev().filter(move |it| it.name == name);
    let live = of().find(|it| it.is_live);
    let newer = |it: &&ProjectionGeneration| !it.is_live && live.is_none_or(|live| live.generation < it.generation);
    ProjectionView {
        projection: name.to_owned(),
        current: false,
        live: live.map(|it| progress(it, extent)),
        building: of().find(newer).map(|it| progress(it, extent)),
    }
}

fn progress(it: &ProjectionGeneration, extent: &FeedExtent) -> BuildView {
    let behind = it.at_ms.zip(extent.newest_at_ms).map_or(0, |(at, newest)| (newest - at).max(0));
    BuildView {
        generation: it.generation,
        position: it.position.to_string(),
        at: it.at_ms.map(|at| rfc3339(Timestamp(at))),
        behind_ms: if it.position >= extent.newest { 0 } else { behind },
        reads_archives: match it.archives {
            ArchiveReading::Reading { until, .. } => Some(until),
            ArchiveReading::None | ArchiveReading::Read { .. } => None,
        },
        left_out: archived::left_out(it.left_out.as_deref()),
        problem: it.problem.clone(),
    }
}

/// A page of the live rows of a projection whose keys begin with `prefix`, after the key `after`.
///
/// # Errors
/// When the store does not answer. `Ok(Err(_))`: no projection has the name.
pub async fn page(
    store: &dyn EventStore,
    name: &str,
    (prefix, after): (&str, &str),
    limit: u32,
) -> Result<Result<ProjectionPage, UnknownProjection>, StoreError> {
    if let Err(unknown) = find(name) {
        return Ok(Err(unknown));
    }
    let (all, extent) = (store.projections().await?, store.feed_extent().await?);
    let view = view(name, &all, &extent);
    let Some(live) = &view.live else { return Ok(Ok(ProjectionPage { view, rows: Vec::new(), next: None })) };
    let rows = store.projection_page(name, live.generation, prefix, after, limit).await?;
    let is_full = u32::try_from(rows.len()).is_ok_and(|length| length == limit);
    let next = rows.last().filter(|_| is_full).map(|row| row.key.clone());
    let rows = rows.into_iter().map(|row| {
        let body: Value = serde_json::from_str(&row.body).unwrap_or(Value::String(row.body));
        json!({"key": row.key, "row": body})
    });
    Ok(Ok(ProjectionPage { rows: rows.collect(), view, next }))
}
