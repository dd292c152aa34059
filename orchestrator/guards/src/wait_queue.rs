//! The wait queue of a participant: the commands that wait durably, in the order in which they go on.
//!
//! Undos go before dos, and the command that has waited longest goes first. A command whose last call was a probe that
//! failed goes behind all others, whatever its lane: one request that the participant cannot take, or one broken
//! endpoint, would otherwise keep the breaker open for all. A command may have a time of its own before which it cannot
//! go on.

use crate::{MonotonicTime, PriorityLane};
use std::collections::{BTreeMap, HashMap};

/// A wait queue. Changes under `&mut`; callers that share it lock it.
///
/// A million commands may wait, so each is one entry, which its ticket finds.
#[derive(Debug)]
pub struct WaitQueue<W> {
    ready: BTreeMap<QueuePosition, W>,
    later: BTreeMap<(MonotonicTime, QueuePosition), W>,
    /// Entries that are elsewhere than their tickets say, by number: few, because only a command that was requeued or
    /// whose penalty was cleared has one.
    moved: HashMap<u64, QueueTicket>,
    /// Entries that may go on and block later ones, by rank.
    before: [usize; 3],
    last: u64,
}

/// A waiter that was taken out of the queue because it may go on.
#[derive(Debug)]
pub struct DequeuedWaiter<W> {
    /// The waiter as the caller enqueued it.
    pub waiter: W,
    place: QueuePosition,
}

/// Where a waiter was enqueued: it leaves the queue by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueTicket {
    place: QueuePosition,
    not_before: MonotonicTime,
}

/// The order in which waiters go on: undos, then dos, then those after a failed probe, in each the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct QueuePosition {
    rank: QueueRank,
    since_ms: i64,
    /// Unique in this queue.
    number: u64,
    lane: PriorityLane,
    blocking: QueueBlocking,
}

/// Before all waiters whose last call was a failed probe.
const FIRST_AFTER_FAILED_PROBE: QueuePosition = QueuePosition {
    rank: QueueRank::AfterFailedProbe,
    since_ms: i64::MIN,
    number: 0,
    lane: PriorityLane::Undo,
    blocking: QueueBlocking::BlocksLater,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum QueueRank {
    Fresh(PriorityLane),
    AfterFailedProbe,
}

/// Whether calls that come later wait behind a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueBlocking {
    /// The participant cannot take all calls: later ones wait behind.
    BlocksLater,
    /// It waits for a reason of its own, which holds no other call back.
    BlocksNone,
}

/// What decides on the position of a waiter in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    /// Undos go before dos.
    pub lane: PriorityLane,
    /// Since when it waits, in milliseconds of any clock that all waiters of a queue share: the smallest goes first.
    pub since_ms: i64,
    /// The waiter does not go on before this time.
    pub not_before: MonotonicTime,
    /// Whether later calls wait behind it.
    pub blocking: QueueBlocking,
    /// Its last call was a probe that failed: it goes behind all others.
    pub after_failed_probe: bool,
}

impl QueueRank {
    fn index(self) -> usize {
        match self {
            QueueRank::Fresh(lane) => lane.index(),
            QueueRank::AfterFailedProbe => PriorityLane::ALL.len(),
        }
    }
}

impl<W> Default for WaitQueue<W> {
    fn default() -> WaitQueue<W> {
        WaitQueue { ready: BTreeMap::new(), later: BTreeMap::new(), moved: HashMap::new(), before: [0; 3], last: 0 }
    }
}

impl<W> WaitQueue<W> {
    /// Adds a waiter behind those that are ahead of it by rank and age; its ticket removes it again.
    pub fn enqueue(&mut self, waiting: QueueEntry, waiter: W) -> QueueTicket {
        self.last += 1;
        let rank =
            if waiting.after_failed_probe { QueueRank::AfterFailedProbe } else { QueueRank::Fresh(waiting.lane) };
        let QueueEntry { lane, since_ms, not_before, blocking, after_failed_probe: _ } = waiting;
        let place = QueuePosition { rank, since_ms, number: self.last, lane, blocking };
        self.later.insert((not_before, place), waiter);
        QueueTicket { place, not_before }
    }

    /// Removes a waiter; `None` if it has gone on already.
    pub fn leave(&mut self, ticket: QueueTicket) -> Option<W> {
        let QueueTicket { place, not_before } = self.moved.remove(&ticket.place.number).unwrap_or(ticket);
        if let Some(waiter) = self.ready.remove(&place) {
            self.uncount(place);
            return Some(waiter);
        }
        self.later.remove(&(not_before, place))
    }

    /// Takes the next waiter that may go on at `now` out of the queue.
    pub fn next(&mut self, now: MonotonicTime) -> Option<DequeuedWaiter<W>> {
        self.move_ready(now);
        let (place, waiter) = self.ready.pop_first()?;
        self.moved.remove(&place.number);
        self.uncount(place);
        Some(DequeuedWaiter { waiter, place })
    }

    /// Puts a waiter that could not be resumed back to its old position, under its old ticket, not to go on before
    /// `not_before`.
    pub fn requeue(&mut self, called: DequeuedWaiter<W>, not_before: MonotonicTime) {
        let DequeuedWaiter { waiter, place } = called;
        self.requeue_at(QueueTicket { place, not_before }, waiter);
    }

    fn requeue_at(&mut self, at: QueueTicket, waiter: W) {
        self.later.insert((at.not_before, at.place), waiter);
        self.moved.insert(at.place.number, at);
    }

    /// How many waiters a call that comes now in `lane` would overtake: those that could go on if there were room.
    pub fn ahead_of(&mut self, lane: PriorityLane, now: MonotonicTime) -> usize {
        self.move_ready(now);
        PriorityLane::ALL.iter().filter(|other| **other <= lane).map(|other| self.before[other.index()]).sum()
    }

    /// The same for a call after a failed probe, which goes behind all.
    pub fn ahead_of_failed_probe(&mut self, now: MonotonicTime) -> usize {
        self.move_ready(now);
        self.before.iter().sum()
    }

    /// When the time of the next waiter comes that has one; `None`: no waiter waits for a time.
    #[must_use]
    pub fn next_time(&self) -> Option<MonotonicTime> {
        self.later.first_key_value().map(|((time, _), _)| *time)
    }

    /// Whether a waiter could go on at `now`.
    pub fn has_ready(&mut self, now: MonotonicTime) -> bool {
        self.move_ready(now);
        !self.ready.is_empty()
    }

    /// Lets all waiters go on at once, whatever their times were.
    pub fn clear_not_before(&mut self) {
        for ((_, place), waiter) in std::mem::take(&mut self.later) {
            self.make_ready(place, waiter);
        }
    }

    /// The participant works again: waiters after a failed probe get the rank of their lane.
    pub fn clear_probe_penalties(&mut self) {
        for (place, waiter) in self.ready.split_off(&FIRST_AFTER_FAILED_PROBE) {
            self.uncount(place);
            let place = QueuePosition { rank: QueueRank::Fresh(place.lane), ..place };
            self.moved.insert(place.number, QueueTicket { place, not_before: MonotonicTime::default() });
            self.make_ready(place, waiter);
        }
        let probed = self.later.keys().filter(|(_, place)| place.rank == QueueRank::AfterFailedProbe);
        for (not_before, place) in probed.copied().collect::<Vec<_>>() {
            if let Some(waiter) = self.later.remove(&(not_before, place)) {
                let place = QueuePosition { rank: QueueRank::Fresh(place.lane), ..place };
                self.requeue_at(QueueTicket { place, not_before }, waiter);
            }
        }
    }

    /// How many waiters are in the queue.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ready.len() + self.later.len()
    }

    /// Whether the queue has no waiter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.later.is_empty()
    }

    fn move_ready(&mut self, now: MonotonicTime) {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, place), waiter) = entry.remove_entry();
            self.make_ready(place, waiter);
        }
    }

    fn make_ready(&mut self, place: QueuePosition, waiter: W) {
        match place.blocking {
            QueueBlocking::BlocksLater => self.before[place.rank.index()] += 1,
            QueueBlocking::BlocksNone => {}
        }
        self.ready.insert(place, waiter);
    }

    fn uncount(&mut self, place: QueuePosition) {
        match place.blocking {
            QueueBlocking::BlocksLater => self.before[place.rank.index()] -= 1,
            QueueBlocking::BlocksNone => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::since_origin(Duration::from_secs(seconds))
    }

    fn waiting(lane: PriorityLane, since_ms: i64) -> QueueEntry {
        QueueEntry {
            lane,
            since_ms,
            not_before: at(0),
            blocking: QueueBlocking::BlocksLater,
            after_failed_probe: false,
        }
    }

    fn called<W>(line: &mut WaitQueue<W>, second: u64) -> Option<W> {
        line.next(at(second)).map(|called| called.waiter)
    }

    #[test]
    fn who_could_not_be_reached_comes_back_to_the_old_place() {
        let mut line = WaitQueue::default();
        let first = line.enqueue(waiting(PriorityLane::Do, 1), "first");
        line.enqueue(waiting(PriorityLane::Do, 2), "second");
        let unreached = line.next(at(0)).expect("somebody waits");
        line.requeue(unreached, at(1));
        assert_eq!(line.len(), 2);
        assert_eq!(called(&mut line, 0), Some("second"));
        assert_eq!(line.leave(first), Some("first"));
        assert_eq!((line.len(), line.ahead_of(PriorityLane::Do, at(9))), (0, 0));
    }

    #[test]
    fn undos_go_first_and_then_who_has_waited_longest() {
        let mut line = WaitQueue::default();
        line.enqueue(waiting(PriorityLane::Do, 2), "second do");
        line.enqueue(waiting(PriorityLane::Do, 1), "first do");
        line.enqueue(waiting(PriorityLane::Undo, 9), "undo");
        let order: Vec<_> = std::iter::from_fn(|| called(&mut line, 0)).collect();
        assert_eq!(order, ["undo", "first do", "second do"]);
        assert!(line.is_empty());
    }

    #[test]
    fn who_has_probed_in_vain_goes_behind_everybody_in_one_row_until_it_is_forgiven() {
        let mut line = WaitQueue::default();
        let probed = |lane, since_ms| QueueEntry { after_failed_probe: true, ..waiting(lane, since_ms) };
        let fill = |line: &mut WaitQueue<_>| {
            line.enqueue(probed(PriorityLane::Undo, 2), "probed undo");
            line.enqueue(probed(PriorityLane::Do, 1), "probed do");
            line.enqueue(waiting(PriorityLane::Do, 9), "do");
            line.enqueue(waiting(PriorityLane::Undo, 9), "undo");
        };
        fill(&mut line);
        assert_eq!(
            PriorityLane::ALL.map(|lane| line.ahead_of(lane, at(0))),
            [1, 2],
            "who comes now goes before them, too"
        );
        assert_eq!(line.ahead_of_failed_probe(at(0)), 4);
        let order: Vec<_> = std::iter::from_fn(|| called(&mut line, 0)).collect();
        assert_eq!(order, ["undo", "do", "probed do", "probed undo"]);
        fill(&mut line);
        line.clear_probe_penalties();
        let order: Vec<_> = std::iter::from_fn(|| called(&mut line, 0)).collect();
        assert_eq!(order, ["probed undo", "undo", "probed do", "do"]);
    }

    #[test]
    fn nobody_goes_on_before_the_own_time() {
        let mut line = WaitQueue::default();
        line.enqueue(QueueEntry { not_before: at(10), ..waiting(PriorityLane::Do, 1) }, "later");
        line.enqueue(QueueEntry { not_before: at(5), ..waiting(PriorityLane::Do, 2) }, "sooner");
        assert_eq!(line.next_time(), Some(at(5)));
        assert_eq!(called(&mut line, 4), None);
        assert_eq!(called(&mut line, 5), Some("sooner"));
        assert_eq!(called(&mut line, 9), None);
        line.clear_not_before();
        assert_eq!(called(&mut line, 9), Some("later"));
    }

    #[test]
    fn whoever_leaves_is_not_called() {
        let mut line = WaitQueue::default();
        let first = line.enqueue(waiting(PriorityLane::Do, 1), "first");
        line.enqueue(waiting(PriorityLane::Do, 2), "second");
        assert!(line.has_ready(at(0)));
        assert_eq!(line.leave(first), Some("first"));
        assert_eq!(line.leave(first), None);
        assert_eq!(called(&mut line, 0), Some("second"));
    }

    #[test]
    fn who_comes_waits_behind_its_own_lane_and_the_ones_before() {
        let mut line = WaitQueue::default();
        let before = |line: &mut WaitQueue<_>| PriorityLane::ALL.map(|lane| line.ahead_of(lane, at(0)));
        line.enqueue(QueueEntry { blocking: QueueBlocking::BlocksNone, ..waiting(PriorityLane::Do, 1) }, "alone");
        assert_eq!(before(&mut line), [0, 0]);
        let waits = line.enqueue(waiting(PriorityLane::Do, 1), "do");
        assert_eq!(before(&mut line), [0, 1]);
        line.leave(waits);
        line.enqueue(waiting(PriorityLane::Undo, 1), "undo");
        assert_eq!(before(&mut line), [1, 1]);
    }

    #[test]
    fn nobody_waits_behind_one_whose_time_has_not_come() {
        let mut line = WaitQueue::default();
        line.enqueue(QueueEntry { not_before: at(5), ..waiting(PriorityLane::Do, 1) }, "later");
        assert_eq!(line.ahead_of(PriorityLane::Do, at(4)), 0);
        assert_eq!(line.ahead_of(PriorityLane::Do, at(5)), 1);
    }

    proptest! {
        #[test]
        fn everybody_is_called_once_and_nobody_is_forgotten(
            arrivals in prop::collection::vec((any::<bool>(), 0i64..5, 0u64..5, any::<bool>(), any::<bool>()), 0..60),
            is_forgiven in any::<bool>(),
            leaving in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let mut line = WaitQueue::default();
            let mut tickets = Vec::new();
            for (number, (undo, since_ms, time, alone, after_failed_probe)) in arrivals.into_iter().enumerate() {
                let lane = if undo { PriorityLane::Undo } else { PriorityLane::Do };
                let blocking = if alone { QueueBlocking::BlocksNone } else { QueueBlocking::BlocksLater };
                let waiting = QueueEntry { lane, since_ms, not_before: at(time), blocking, after_failed_probe };
                tickets.push((line.enqueue(waiting, number), number));
            }
            let mut expected: std::collections::BTreeSet<usize> = tickets.iter().map(|(_, number)| *number).collect();
            for index in leaving.iter().filter(|_| !tickets.is_empty()) {
                let (ticket, number) = tickets[index.index(tickets.len())];
                prop_assert_eq!(line.leave(ticket).is_some(), expected.remove(&number));
            }
            if is_forgiven {
                line.clear_probe_penalties();
            }
            prop_assert_eq!(line.len(), expected.len());
            for second in 0..5 {
                while let Some(number) = called(&mut line, second) {
                    prop_assert!(expected.remove(&number));
                }
            }
            prop_assert!(expected.is_empty() && line.is_empty() && line.ahead_of(PriorityLane::Do, at(9)) == 0);
        }
    }
}
