//! Lists what is open. A part of the list that the store cannot read is passed by.

use super::context::ShardContext;
use super::store_retry::until_answered;
use saga_core::id::ShardId;
use saga_event_store::StoreError;
use tracing::error;
use uuid::Uuid;

/// Ids ascend with the time of their start, whose milliseconds are their upper 48 bits.
const MILLISECOND: u128 = 1 << 80;

/// A page of the shard's open sagas after `after`, ascending; empty at the end. Waits while the store is unavailable.
pub(super) async fn open_page(context: &ShardContext, shard: ShardId, after: Option<Uuid>, limit: u32) -> Vec<Uuid> {
    let mut few = limit;
    while few > 0 {
        match page(context, shard, after, few).await {
            Ok(page) => return page,
            // What stands before the damage is listed.
            Err(_) => few /= 2,
        }
    }
    match behind(context, shard, after.unwrap_or_default()).await {
        Some(from) => page(context, shard, Some(from), 1).await.unwrap_or_default(),
        None => Vec::new(),
    }
}

/// # Errors
/// Only for what is damaged.
async fn page(
    context: &ShardContext,
    shard: ShardId,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Uuid>, StoreError> {
    until_answered(context, "list open sagas", || async {
        match context.store.events().open_streams(shard.0, after, limit).await {
            Err(damaged) if damaged.is_damage() => Ok(Err(damaged)),
            answer => answer.map(Ok),
        }
    })
    .await
}

/// From where the list can be read again; `None`: nowhere.
async fn behind(context: &ShardContext, shard: ShardId, after: Uuid) -> Option<Uuid> {
    let (mut damaged, mut span) = (after.as_u128(), MILLISECOND);
    let mut whole = loop {
        let from = after.as_u128().checked_add(span)?;
        match page(context, shard, Some(Uuid::from_u128(from)), 1).await {
            Ok(_) => break from,
            Err(_) => (damaged, span) = (from, span.checked_mul(2)?),
        }
    };
    while whole - damaged > MILLISECOND {
        let between = damaged + (whole - damaged) / 2;
        match page(context, shard, Some(Uuid::from_u128(between)), 1).await {
            Ok(_) => whole = between,
            Err(_) => damaged = between,
        }
    }
    let until = Uuid::from_u128(whole);
    error!(
        shard = shard.0, %after, %until,
        "the read model of open sagas between these ids is damaged: each of them goes on only when something happens \
         to it"
    );
    metrics::counter!("saga_unlisted_ranges_total").increment(1);
    Some(until)
}
