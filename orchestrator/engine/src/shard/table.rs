//! What a shard's task knows of its sagas. Nothing here does I/O.

use super::{
    answer_watermark::WatermarkState, live_saga::SagaSlot, unreadable::UnreadableSagas, wait_registry::WaitRegistry,
};
use crate::{due::DueTimes, message::ShardMessage, starting::PendingStarts};
use saga_core::{answerable::AnswerWatermark, id::SagaId, input::SagaInput};
use std::collections::{HashMap, HashSet};

/// The sagas of one shard under one epoch.
pub(super) struct ShardTable {
    /// The sagas that are in memory, by id.
    pub(super) sagas: HashMap<SagaId, SagaSlot>,
    /// When the others have to be looked at again.
    pub(super) due: DueTimes,
    /// Up to when answers have been taken, and when none could be.
    pub(super) answerable: AnswerWatermark,
    pub(super) watermark_state: WatermarkState,
    pub(super) starting: PendingStarts,
    pub(super) unreadable: UnreadableSagas,
    /// Calls that the guard holds back outside of a decision; they become inputs in the next turn.
    pub(super) deferred_inputs: Vec<(SagaId, SagaInput)>,
    /// Messages for these sagas: starts under keys that they have, with other payloads, and reruns of them whose turn
    /// comes again.
    pub(super) deferred_messages: Vec<(SagaId, ShardMessage)>,
    /// Sagas that have enough of them on record.
    pub(super) duplicate_reports_full: HashSet<SagaId>,
    /// Sagas that are read again to be parked, with the reason.
    pub(super) to_park: HashMap<SagaId, String>,
    /// What waits in the guards' wait queues.
    pub(super) waits: WaitRegistry,
}

impl ShardTable {
    pub(super) fn new(answerable: AnswerWatermark) -> ShardTable {
        ShardTable {
            sagas: HashMap::new(),
            due: DueTimes::default(),
            answerable,
            watermark_state: WatermarkState::None,
            starting: PendingStarts::default(),
            unreadable: UnreadableSagas::default(),
            deferred_inputs: Vec::new(),
            deferred_messages: Vec::new(),
            duplicate_reports_full: HashSet::new(),
            to_park: HashMap::new(),
            waits: WaitRegistry::default(),
        }
    }
}
