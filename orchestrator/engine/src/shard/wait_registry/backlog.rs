//! The sagas that find a wait queue full. A place in a queue takes some 400 bytes, and a million may wait: beyond
//! [`MOST`] a saga is remembered by its id and age only. When the queue is shorter again, the oldest of them are read
//! and join it.

use saga_core::{
    command::{CommandDirection, GuardOwner},
    id::SagaId,
    time::Timestamp,
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// Places of one shard before one guard: 50 MB of 64 shards, and more than its participant takes while the next ones
/// are read. Few in tests, which go beyond.
pub(in crate::shard) const MOST: usize = if cfg!(test) { 64 } else { 2 * 1024 };
/// A queue with no more places than this takes more sagas.
const SHORT: usize = MOST / 4 * 3;
/// Sagas that are called up at once. Each then waits for a turn to be read.
const CALLED_UP: usize = MOST / 4;

/// The owner of the guard, and the direction of the commands. Undos do not wait behind dos.
pub(super) type WaitQueueKey = (GuardOwner<Arc<str>>, CommandDirection);

/// How long wait queues are, and which sagas have no place in them.
#[derive(Debug, Default)]
pub(super) struct BacklogTable(HashMap<WaitQueueKey, WaitBacklog>);

#[derive(Debug, Default)]
struct WaitBacklog {
    /// The places that the shard has in the queue.
    places: usize,
    /// The sagas that wait without a place, oldest first.
    unqueued: BTreeSet<(Timestamp, SagaId)>,
    /// Those of them that are being read, and find a place each.
    loading: HashSet<SagaId>,
}

impl BacklogTable {
    /// Whether the saga finds a place: one that was called up does, another one not while some wait that were there
    /// before.
    pub(super) fn has_room(&self, queue: &WaitQueueKey, saga: SagaId) -> bool {
        self.0.get(queue).is_none_or(|it| it.loading.contains(&saga) || it.unqueued.is_empty() && it.taken() < MOST)
    }

    /// Counts one more place that the shard has in this queue.
    pub(super) fn joined(&mut self, queue: WaitQueueKey) {
        self.0.entry(queue).or_default().places += 1;
    }

    /// Counts one place less that the shard has in this queue.
    pub(super) fn left(&mut self, queue: &WaitQueueKey) {
        if let Some(backlog) = self.0.get_mut(queue) {
            backlog.places = backlog.places.saturating_sub(1);
        }
    }

    /// Remembers a saga that waits without a place.
    pub(super) fn remember(&mut self, queue: WaitQueueKey, since: Timestamp, saga: SagaId) {
        self.0.entry(queue).or_default().unqueued.insert((since, saga));
    }

    /// The saga was read, and has joined what it waits for.
    pub(super) fn mark_loaded(&mut self, saga: SagaId) {
        for backlog in self.0.values_mut() {
            backlog.loading.remove(&saga);
        }
        self.0.retain(|_, backlog| backlog.taken() > 0 || !backlog.unqueued.is_empty());
    }

    /// The sagas to be read because a wait queue has become short: the oldest. Each saga is returned once.
    pub(super) fn take_backlogged(&mut self) -> Vec<SagaId> {
        self.0.values_mut().flat_map(WaitBacklog::take_backlogged).collect()
    }
}

impl WaitBacklog {
    fn taken(&self) -> usize {
        self.places + self.loading.len()
    }

    fn take_backlogged(&mut self) -> Vec<SagaId> {
        if self.places == 0 {
            // A saga that cannot be read does not come.
            self.loading.clear();
        }
        if self.unqueued.is_empty() || self.taken() > SHORT {
            return Vec::new();
        }
        let called: Vec<SagaId> =
            std::iter::from_fn(|| self.unqueued.pop_first()).take(CALLED_UP).map(|(_, saga)| saga).collect();
        self.loading.extend(&called);
        called
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::id::ShardId;

    fn queue(direction: CommandDirection) -> WaitQueueKey {
        (GuardOwner::Participant("payments".into()), direction)
    }

    fn saga(number: u64) -> SagaId {
        SagaId::new(Timestamp(1), ShardId(0), number << 2)
    }

    fn full() -> BacklogTable {
        let mut backlogs = BacklogTable::default();
        (0..MOST).for_each(|_| backlogs.joined(queue(CommandDirection::Do)));
        backlogs
    }

    fn takes(backlogs: &BacklogTable, number: u64) -> bool {
        backlogs.has_room(&queue(CommandDirection::Do), saga(number))
    }

    #[test]
    fn a_full_line_takes_nobody_and_the_other_direction_goes_on() {
        let backlogs = full();
        assert!(!takes(&backlogs, 0));
        assert!(backlogs.has_room(&queue(CommandDirection::Undo), saga(0)));
    }

    #[test]
    fn the_oldest_are_called_up_when_the_line_is_short_and_each_once() {
        let mut backlogs = full();
        let many = u64::try_from(CALLED_UP).expect("some") + 1;
        for number in (0..many).rev() {
            let since = Timestamp(i64::try_from(number).expect("a small number"));
            backlogs.remember(queue(CommandDirection::Do), since, saga(number));
        }
        assert_eq!(backlogs.take_backlogged(), []);
        (SHORT..MOST).for_each(|_| backlogs.left(&queue(CommandDirection::Do)));
        assert!(!takes(&backlogs, many), "others were there before");
        let first = backlogs.take_backlogged();
        assert_eq!((first.len(), first.first(), first.last()), (CALLED_UP, Some(&saga(0)), Some(&saga(many - 2))));
        assert!(takes(&backlogs, 0) && !takes(&backlogs, many), "the places are for those that were called up");
        assert_eq!(backlogs.take_backlogged(), [], "they have not come yet");
        first.into_iter().for_each(|saga| backlogs.mark_loaded(saga));
        assert_eq!(backlogs.take_backlogged(), [saga(many - 1)]);
        backlogs.mark_loaded(saga(many - 1));
        assert!(takes(&backlogs, many));
    }

    #[test]
    fn who_cannot_be_read_keeps_nobody_out_of_an_empty_line() {
        let mut backlogs = full();
        (0..2).for_each(|number| backlogs.remember(queue(CommandDirection::Do), Timestamp(1), saga(number)));
        (0..MOST).for_each(|_| backlogs.left(&queue(CommandDirection::Do)));
        assert_eq!(backlogs.take_backlogged(), [saga(0), saga(1)]);
        assert_eq!(backlogs.take_backlogged(), []);
        assert!(takes(&backlogs, 2));
    }
}
