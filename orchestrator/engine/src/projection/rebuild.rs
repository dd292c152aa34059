//! Builds a projection anew beside the live generation.

use super::{
    AdvanceError, EventProjection,
    advance::{ALONE_ROWS, AdvanceOutcome, ProjectionSource},
    archived::{self, ArchiveFolder, ArchiveShelf, LeftOutArchive, MissingArchives},
    lookup::{UnknownProjection, find},
};
use saga_event_store::{ArchiveReading, EventStore, ProjectionGeneration, ProjectionStart, StoreError};
use serde::Serialize;
use std::sync::Arc;
use uuid::Uuid;

/// Rows of an old generation that one transaction removes.
const DROP_ROWS: u32 = 5_000;
/// Times that a builder lets another one go first before it reads the generations again and goes on.
const MOST_RACES: u32 = 1_000;

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RebuildProgress {
    /// Rows of archives and of the feed that this call applied.
    pub rows: u64,
    /// The time of the last row, and of the newest row of the feed, in milliseconds since the Unix epoch.
    pub at_ms: Option<i64>,
    /// The time of the newest row of the feed.
    pub newest_at_ms: Option<i64>,
}

/// What a rebuild did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildReport {
    /// Name of the projection.
    pub projection: String,
    /// The generation that is live now.
    pub generation: i64,
    /// Rows of archives and of the feed that this call applied.
    pub rows: u64,
    /// Archives that the rows lack.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutArchive>,
}

/// A projection cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// No projection has the name.
    #[error(transparent)]
    Unknown(#[from] UnknownProjection),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Files of archives are missing or damaged.
    #[error(
        "the projection needs archives whose files cannot be read, and nothing is built: {}. Take the files from a \
         backup, or leave them out with `--without-archives`",
        .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Archives(Vec<LeftOutArchive>),
    /// The generation cannot go on.
    #[error(transparent)]
    Advance(#[from] AdvanceError),
    /// The generation that was built cannot become the live one.
    #[error(
        "generation {0} was not taken live: another rebuild is ahead of it, or it has a problem; `saga projections` shows them"
    )]
    NotLive(i64),
}

/// Begins to build a projection anew, unless that is under way. The engine that owns the first shard builds it; so does
/// [`rebuild`].
///
/// # Errors
/// When no projection has the name, the store does not answer, or archives are missing and that is refused.
pub async fn begin_rebuild(
    store: &dyn EventStore,
    name: &str,
    folder: ArchiveFolder,
) -> Result<ProjectionGeneration, RebuildError> {
    let rules = find(name)?;
    if let Some(begun) = building(store, rules).await? {
        return Ok(begun);
    }
    begin(store, rules, &ArchiveShelf::new(folder)).await?;
    building(store, rules).await?.ok_or(RebuildError::NotLive(0))
}

/// Begins a generation of these rules, from the archives that the store has now.
pub(super) async fn begin(
    store: &dyn EventStore,
    rules: &dyn EventProjection,
    shelf: &ArchiveShelf,
) -> Result<(), RebuildError> {
    // Before the archives: what is below this position has left by now, so it is in them.
    let from = store.feed_extent().await?.oldest;
    let survey = shelf.survey(store, 0).await?;
    match shelf.folder.missing {
        MissingArchives::Refused if !survey.unreadable.is_empty() => {
            return Err(RebuildError::Archives(survey.unreadable));
        }
        MissingArchives::Refused | MissingArchives::LeftOut => {}
    }
    let archives = match survey.until {
        0 => ArchiveReading::Read { until: 0 },
        until => ArchiveReading::Reading { base: 0, until, after: Uuid::nil() },
    };
    let (name, code_version) = (rules.name().to_owned(), rules.version());
    let left_out = archived::stored(&survey.unreadable);
    Ok(store.begin_projection(&ProjectionStart { name, code_version, from, archives, left_out }).await?)
}

/// The generation of these rules that is being built.
pub(super) async fn building(
    store: &dyn EventStore,
    rules: &dyn EventProjection,
) -> Result<Option<ProjectionGeneration>, StoreError> {
    Ok(building_among(&store.projections().await?, rules))
}

/// The same among generations that were read.
pub(super) fn building_among(
    all: &[ProjectionGeneration],
    rules: &dyn EventProjection,
) -> Option<ProjectionGeneration> {
    let is_built = |it: &ProjectionGeneration| {
        it.name == rules.name() && !it.is_live && it.code_version == rules.version() && it.problem.is_none()
    };
    let live = all.iter().find(|it| it.name == rules.name() && it.is_live).map_or(0, |it| it.generation);
    all.iter().rev().find(|it| is_built(it) && it.generation > live).cloned()
}

/// Builds a projection anew: reads the archives, catches up with the feed, takes the new generation live in one
/// transaction, and removes older ones. A call that is dropped can be made again: it goes on where the last one ended.
/// Engines can build the same generation at the same time.
///
/// # Errors
/// When no projection has the name, the store does not answer, archives are missing and that is refused, or the
/// projection has a fault. The live generation stays
/// as it is then.
pub async fn rebuild(
    store: Arc<dyn EventStore>,
    name: &str,
    folder: ArchiveFolder,
    mut told: impl FnMut(RebuildProgress),
) -> Result<RebuildReport, RebuildError> {
    let rules = find(name)?;
    let mut generation = begin_rebuild(store.as_ref(), name, folder.clone()).await?;
    let mut source = ProjectionSource::new(Arc::clone(&store), Arc::default(), folder, ALONE_ROWS);
    let (mut rows, mut races) = (0, 0);
    loop {
        let outcome = source.advance(rules, &mut generation).await.map_err(|error| match error {
            AdvanceError::Archives(missing) => RebuildError::Archives(missing),
            error @ (AdvanceError::Feed(_) | AdvanceError::Rules(_)) => RebuildError::Advance(error),
        });
        match outcome? {
            AdvanceOutcome::Moved(more) => rows += more,
            AdvanceOutcome::CaughtUp => break,
            AdvanceOutcome::Outdated => match building(store.as_ref(), rules).await? {
                Some(it) if it.generation == generation.generation && races < MOST_RACES => {
                    (generation, races) = (it, races + 1);
                }
                // An engine has taken it live.
                Some(_) | None => break,
            },
        }
        let newest_at_ms = store.feed_extent().await?.newest_at_ms;
        told(RebuildProgress { rows, at_ms: generation.at_ms, newest_at_ms });
    }
    take_live(store.as_ref(), &generation).await?;
    let left_out = archived::left_out(generation.left_out.as_deref());
    Ok(RebuildReport { projection: name.to_owned(), generation: generation.generation, rows, left_out })
}

/// Takes a generation live, and removes the older ones.
pub(super) async fn take_live(store: &dyn EventStore, built: &ProjectionGeneration) -> Result<(), RebuildError> {
    if !store.switch_projection(&built.name, built.generation).await? {
        return Err(RebuildError::NotLive(built.generation));
    }
    let older = |it: &ProjectionGeneration| it.name == built.name && it.generation < built.generation;
    for old in store.projections().await?.into_iter().filter(older) {
        while store.drop_projection(&old.name, old.generation, DROP_ROWS).await? == u64::from(DROP_ROWS) {}
    }
    Ok(())
}
