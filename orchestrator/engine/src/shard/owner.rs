//! Claims a shard, and claims it again when it is fenced and still assigned, until it is stopped.

use super::{
    OwnershipEnd, ShardLoop, answer_watermark, context::ShardContext, lost_sagas::RememberedSagas,
    store_retry::until_answered, unclaimed_queue,
};
use crate::{message::ShardMessage, skew, step_back};
use futures_util::FutureExt as _;
use saga_core::{answerable::AnswerWatermark, id::ShardId};
use saga_event_store::ShardEpoch;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Fenced but still assigned: claim again after this, plus as much again at random, so that two owners do not take
/// turns.
const RECLAIM: Duration = Duration::from_secs(1);
/// Owns `shard` until `stop`. When it returns no append of this task is under way, and what was queued for the shard is
/// in the inbox.
pub(crate) async fn run(
    context: Arc<ShardContext>,
    shard: ShardId,
    mut messages: mpsc::Receiver<ShardMessage>,
    stop: CancellationToken,
) {
    let mut remembered = RememberedSagas::default();
    while let OwnershipEnd::Fenced = own(&context, shard, &mut messages, &stop, &mut remembered).await {
        warn!(
            shard = shard.0,
            "the shard is lost here (claimed elsewhere, broken off, or the event store lost commits); claiming it \
             again if it is still assigned here"
        );
        metrics::counter!("saga_shard_fenced_total").increment(1);
        let rest = RECLAIM + RECLAIM.mul_f64(fastrand::f64());
        let rest = unclaimed_queue::run_while_forwarding(
            (&context.outputs.router, &context.outputs.tasks),
            shard,
            &mut messages,
            tokio::time::sleep(rest),
        );
        if stop.run_until_cancelled(rest).await.is_none() {
            break;
        }
    }
    hand_over(&context, shard, messages).await;
    info!(shard = shard.0, "shard released");
}

async fn own(
    context: &Arc<ShardContext>,
    shard: ShardId,
    messages: &mut mpsc::Receiver<ShardMessage>,
    stop: &CancellationToken,
    remembered: &mut RememberedSagas,
) -> OwnershipEnd {
    match AssertUnwindSafe(own_unguarded(context, shard, messages, stop, remembered)).catch_unwind().await {
        Ok(ended) => ended,
        Err(panic) => {
            let reason = saga_base::panics::message(panic.as_ref());
            error!(
                shard = shard.0,
                reason, "the shard's task panicked: it is claimed anew and its sagas are read again"
            );
            metrics::counter!("saga_panics_total").increment(1);
            OwnershipEnd::Fenced
        }
    }
}

async fn own_unguarded(
    context: &Arc<ShardContext>,
    shard: ShardId,
    messages: &mut mpsc::Receiver<ShardMessage>,
    stop: &CancellationToken,
    remembered: &mut RememberedSagas,
) -> OwnershipEnd {
    let told = context.store.events().steps_back();
    let taking_over = take_over(context, shard, &told, remembered);
    let taking_over = unclaimed_queue::run_while_forwarding(
        (&context.outputs.router, &context.outputs.tasks),
        shard,
        messages,
        taking_over,
    );
    let Some((mut owned, steps)) = stop.run_until_cancelled(taking_over).await else { return OwnershipEnd::Stopped };
    let serving = context.outputs.router.serving(shard);
    let ended = owned.serve(messages, stop, step_back::beyond(told.clone(), steps)).await;
    drop(serving);
    if step_back::number(&told) > steps {
        remembered.keep(&owned);
    }
    for message in owned.take_unfinished() {
        context.outputs.router.forward(shard, message).await;
    }
    ended
}

/// The shard, and how often the store had lost something by then.
async fn take_over(
    context: &Arc<ShardContext>,
    shard: ShardId,
    told: &step_back::StepBackReceiver,
    remembered: &mut RememberedSagas,
) -> (ShardLoop, u64) {
    context.store.step_back.prepared(told).await;
    let steps = step_back::number(told);
    let (epoch, answerable) = claim(context, shard).await;
    let mut owned = ShardLoop::new(Arc::clone(context), shard, epoch, answerable);
    report_missing(&mut owned, remembered).await;
    if step_back::number(told) == steps {
        context.store.step_back.settled(shard, context.outputs.router.owned_shards());
    }
    (owned, steps)
}

/// After the store lost something everything open is read before work goes on, to know what is missing.
async fn report_missing(owned: &mut ShardLoop, remembered: &mut RememberedSagas) {
    if remembered.is_empty() {
        return;
    }
    owned.recover_all().await;
    let missing = remembered.missing(owned);
    missing.report(&owned.context, owned.shard).await;
}

/// The epoch, and what is known of the shard's answers: read after the claim, for until then the last owner may add to
/// it.
async fn claim(context: &ShardContext, shard: ShardId) -> (ShardEpoch, AnswerWatermark) {
    agree_on_the_time(context).await;
    let what = format!("claim shard {}", shard.0);
    let epoch = until_answered(context, &what, || context.store.events().claim(shard.0, &context.store.instance)).await;
    let read = || context.store.events().attendance(shard.0);
    let attendance = until_answered(context, "read until when a shard was attended to", read).await;
    (epoch, answer_watermark::restored_watermark(context, &attendance))
}

/// Waits until this engine's clock and the store's agree: what the owners of a shard write would contradict each other.
async fn agree_on_the_time(context: &ShardContext) {
    let compare = || context.store.skew.compare(context.store.events(), context.clock);
    while until_answered(context, "compare clocks", compare).await.is_err() {
        tokio::time::sleep(skew::LOOK_AGAIN).await;
    }
}

async fn hand_over(context: &ShardContext, shard: ShardId, mut messages: mpsc::Receiver<ShardMessage>) {
    messages.close();
    while let Some(message) = messages.recv().await {
        context.outputs.router.forward(shard, message).await;
    }
}
