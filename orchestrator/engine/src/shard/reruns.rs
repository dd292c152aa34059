//! Ended sagas that are run again: the owner of the ended saga judges it as it is, and begins the saga that runs it
//! again. Both are in one shard, because they have the same key.

use super::{ShardLoop, live_saga::LiveSaga};
use crate::{
    journal::reruns,
    message::{MessageContent, MessageOutcome, ShardMessage},
    starting::KeyHolder,
};
use saga_core::{
    decide,
    id::SagaId,
    rerun::{self, RerunOrder},
};

impl ShardLoop {
    /// Begins the saga that runs `live` again. The journal of the ended saga stays as it is.
    pub(super) fn begin_rerun(&mut self, live: &LiveSaga, message: ShardMessage) {
        let MessageContent::Rerun { saga, plan, order } = &message.body else { return };
        let plan = plan.clone().unwrap_or_else(|| rerun::plan_of(&live.plan));
        let fork = match rerun::fork((&live.plan, &live.state), &plan, order) {
            Ok(fork) => fork,
            Err(refusal) => return message.receipt.settle(MessageOutcome::Refused(refusal.to_string())),
        };
        let start = rerun::start_of(&live.state);
        let key = reruns::key(&plan.definition.name, *saga, &order.id);
        self.begin_first(&(key.category, key.key), message, &plan, |id, context| {
            decide::rerun(&plan, id, start, fork, context)
        });
    }
}

/// The ended saga is run again already, by this act or by another one.
pub(super) fn settle_rerun(message: ShardMessage, holder: &KeyHolder) {
    let MessageContent::Rerun { order, .. } = &message.body else { return };
    let other_payload = !is_by(order, holder);
    let outcome = match SagaId::from_uuid(holder.stream) {
        Some(saga) => MessageOutcome::Duplicate { saga, other_payload },
        None => MessageOutcome::Ignored("the key of the rerun is taken by a stream that is not a saga".into()),
    };
    message.receipt.settle(outcome);
}

fn is_by(order: &RerunOrder, holder: &KeyHolder) -> bool {
    holder.payload_hash == reruns::act_hash(&order.id)
}
