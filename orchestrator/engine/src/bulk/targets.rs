//! The sagas that a job goes through, one after the other.

use crate::{
    archiving::{
        erasing::ArchiveEraser,
        left::{LeftSagaLookup, ONLY_ERASED},
    },
    journal::reading::{self, SagaLine, SagaLookup, SagaQuery},
};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use saga_core::id::SagaId;
use saga_event_store::{EventStore, StoreError};

/// The most sagas that a job can name: beyond that operators select by what the sagas have in common.
pub const MOST_NAMES: usize = 1_000;
/// Sagas that are read from the read model at a time.
const PAGE: u32 = 500;

/// The selection of the sagas that a job goes through.
#[derive(Clone, Debug)]
pub enum BulkSelection {
    /// These ids or business keys, of this definition if it is given.
    Named {
        /// Saga ids or business keys, at most [`MOST_NAMES`].
        names: Vec<String>,
        /// Name of the definition that a key belongs to; `None`: any definition.
        saga: Option<String>,
    },
    /// All that match when they are come to, newest first.
    Matching(Box<SagaQuery>),
}

/// A saga that a job comes to, or a name that stands for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BulkTarget {
    Saga(SagaId),
    Unknown { name: String, why: String },
}

/// What a job does with a saga that is named and has left the store; a filter never chooses one.
#[derive(Clone, Copy, Debug)]
pub(super) enum LeftTargets<'a> {
    /// It is a target.
    Taken(&'a ArchiveEraser),
    /// It is told as one that the act does not reach.
    Told(&'a ArchiveEraser),
}

/// The targets, without those of a filter that run by the definition whose hash is `beside`, or begins so.
pub(super) fn stream<'a>(
    store: &'a dyn EventStore,
    targets: &'a BulkSelection,
    (beside, left): (Option<&'a str>, LeftTargets<'a>),
) -> stream::BoxStream<'a, Result<BulkTarget, StoreError>> {
    match targets {
        BulkSelection::Named { names, saga } => {
            stream::iter(names).then(move |name| named(store, left, name, saga.as_deref())).boxed()
        }
        BulkSelection::Matching(wanted) => matching(store, wanted.as_ref().clone(), beside).boxed(),
    }
}

/// What is said of a key that several definitions have.
const SEVERAL: &str = "sagas of several definitions have this key: name one by its id";

async fn named(
    store: &dyn EventStore,
    left: LeftTargets<'_>,
    name: &str,
    saga: Option<&str>,
) -> Result<BulkTarget, StoreError> {
    let unknown = |why: String| BulkTarget::Unknown { name: name.to_owned(), why };
    Ok(match reading::find(store, name, saga).await? {
        SagaLookup::One { id, .. } => BulkTarget::Saga(id),
        SagaLookup::Several(_) => unknown(SEVERAL.to_owned()),
        SagaLookup::None => left.target(name, saga).await.unwrap_or_else(unknown),
    })
}

impl LeftTargets<'_> {
    /// The target that `name` stands for among the sagas that have left, or why there is none.
    async fn target(self, name: &str, saga: Option<&str>) -> Result<BulkTarget, String> {
        let (LeftTargets::Taken(eraser) | LeftTargets::Told(eraser)) = self;
        match (eraser.find(name, saga).await, self) {
            (Ok(LeftSagaLookup::One(left)), LeftTargets::Taken(_)) => Ok(BulkTarget::Saga(left.id)),
            (Ok(LeftSagaLookup::One(left)), LeftTargets::Told(_)) => Err(format!("{left}; {ONLY_ERASED}")),
            (Ok(LeftSagaLookup::Several(_)), _) => Err(SEVERAL.to_owned()),
            (Ok(LeftSagaLookup::None), _) => Err("no saga has this id or key, and no saga in an archive".to_owned()),
            (Err(error), _) => Err(error.to_string()),
        }
    }
}

/// Page by page, each from the last saga of the one before: what a job changes is not come to twice.
fn matching<'a>(
    store: &'a dyn EventStore,
    wanted: SagaQuery,
    beside: Option<&'a str>,
) -> impl Stream<Item = Result<BulkTarget, StoreError>> + use<'a> {
    let pages = stream::try_unfold(Some(wanted), move |wanted| async move {
        let Some(wanted) = wanted else { return Ok::<_, StoreError>(None) };
        let wanted = SagaQuery { limit: PAGE, ..wanted };
        let lines = reading::list(store, &wanted).await?;
        let id = |line: &SagaLine| line.id.parse().ok();
        let next = lines.last().and_then(id).map(|last| SagaQuery { before: Some(last), ..wanted });
        let is_meant = |line: &&SagaLine| beside.is_none_or(|hash| !line.definition.starts_with(hash));
        let ids: Vec<SagaId> = lines.iter().filter(is_meant).filter_map(id).collect();
        Ok(next.map(|next| (stream::iter(ids).map(|id| Ok(BulkTarget::Saga(id))), Some(next))))
    });
    pages.try_flatten()
}
