//! The sagas that a job goes through, one after the other.

use crate::{
    archiving::erasing::ArchiveEraser,
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
    Matching(SagaQuery),
}

/// A saga that a job comes to, or a name that stands for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BulkTarget {
    Saga(SagaId),
    Unknown { name: String, why: String },
}

/// The targets, without those of a filter that run by the definition whose hash is `beside`, or begins so. With `left`
/// a name also means a saga that has left the store; a filter never does.
pub(super) fn stream<'a>(
    store: &'a dyn EventStore,
    targets: &'a BulkSelection,
    (beside, left): (Option<&'a str>, Option<&'a ArchiveEraser>),
) -> stream::BoxStream<'a, Result<BulkTarget, StoreError>> {
    match targets {
        BulkSelection::Named { names, saga } => {
            stream::iter(names).then(move |name| named(store, left, name, saga.as_deref())).boxed()
        }
        BulkSelection::Matching(wanted) => matching(store, wanted.clone(), beside).boxed(),
    }
}

async fn named(
    store: &dyn EventStore,
    left: Option<&ArchiveEraser>,
    name: &str,
    saga: Option<&str>,
) -> Result<BulkTarget, StoreError> {
    let unknown = |why: &str| BulkTarget::Unknown { name: name.to_owned(), why: why.to_owned() };
    Ok(match reading::find(store, name, saga).await? {
        SagaLookup::One { id, .. } => BulkTarget::Saga(id),
        SagaLookup::None => match left {
            None => unknown("no saga has this id or key"),
            Some(left) => match left.find(name, saga).await {
                Ok(Some(id)) => BulkTarget::Saga(id),
                Ok(None) => unknown("no saga has this id or key, and no saga in an archive"),
                Err(error) => unknown(&error.to_string()),
            },
        },
        SagaLookup::Several(_) => unknown("sagas of several definitions have this key: name one by its id"),
    })
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
