//! What waits for a shard that nobody takes messages for: it is not claimed yet, or lost.

use crate::engine::{Parts, message::Message};
use saga_core::id::Shard;
use std::{pin::pin, sync::Arc};
use tokio::sync::mpsc;

/// Does `work`, during which the shard takes nothing. Where that lasts, and other shards are claimed, what waits goes to the inbox: there it is
/// safe, and topics are finished up to what comes after it.
pub(super) async fn meanwhile<T>(
    parts: &Arc<Parts>,
    shard: Shard,
    messages: &mut mpsc::Receiver<Message>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        let message = tokio::select! {
            biased;
            done = &mut work => return done,
            message = waits_too_long(parts, shard, messages) => message,
        };
        let router = parts.router.clone();
        // A task of its own: a message that is on its way must not be lost when the work is done, nor hold it up.
        let handing = parts.calls.spawn(async move { router.forward(shard, message).await });
        tokio::select! {
            biased;
            done = &mut work => return done,
            _handed = handing => {}
        }
    }
}

/// The oldest message that waits, when it has waited for too long.
async fn waits_too_long(parts: &Parts, shard: Shard, messages: &mut mpsc::Receiver<Message>) -> Message {
    parts.router.waits_too_long(shard).await;
    match messages.recv().await {
        Some(message) => message,
        // The queue is closed: the shard is about to be given up.
        None => std::future::pending().await,
    }
}
