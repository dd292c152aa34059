//! The bulkhead: how many calls to one participant are in flight at once, and which call goes next.
//!
//! Pure: a waiter is whatever the caller resumes the waiting call with. A released permit passes to the waiter that
//! came first, undos before dos, without being free in between, so no other call overtakes.

use crate::PriorityLane;
use std::{collections::VecDeque, num::NonZeroU32};

/// Permits and the queue for them.
#[derive(Debug)]
pub struct CallBulkhead<W> {
    limit: NonZeroU32,
    queue_limit: u32,
    in_flight: u32,
    waiting: [VecDeque<(WaiterId, W)>; 2],
    last: u64,
}

/// Identity of one waiter. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaiterId(u64);

/// No permit is free, and the queue for permits is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bulkhead and its queue are full")]
pub struct BulkheadFullError;

/// What became of a waiter that gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawOutcome {
    /// The waiter was in the queue, and is removed.
    Withdrawn,
    /// The waiter had been given a permit already and has it still: the caller must use or release it.
    HasPermit,
}

impl<W> CallBulkhead<W> {
    /// A bulkhead with `limit` free permits, and an empty queue for `queue_limit` waiters.
    #[must_use]
    pub fn new(limit: NonZeroU32, queue_limit: u32) -> CallBulkhead<W> {
        CallBulkhead { limit, queue_limit, in_flight: 0, waiting: [VecDeque::new(), VecDeque::new()], last: 0 }
    }

    /// Takes a permit if one is free. The caller that gets one calls [`CallBulkhead::leave`] once.
    #[must_use]
    pub fn try_acquire(&mut self) -> bool {
        let free = self.in_flight < self.limit.get();
        self.in_flight += u32::from(free);
        free
    }

    /// Adds a waiter for a permit to the queue of its lane.
    ///
    /// # Errors
    /// When the queue is full.
    pub fn enqueue(&mut self, lane: PriorityLane, waiter: W) -> Result<WaiterId, BulkheadFullError> {
        if self.waiting() >= self.queue_limit {
            return Err(BulkheadFullError);
        }
        self.last += 1;
        let id = WaiterId(self.last);
        self.waiting[lane.index()].push_back((id, waiter));
        Ok(id)
    }

    /// Releases a permit. The waiter that is returned holds it now: the caller resumes that waiter.
    #[must_use = "the waiter that is returned has the place and must be woken"]
    pub fn leave(&mut self) -> Option<W> {
        self.release_without_handover();
        self.admit_next()
    }

    /// Releases a permit without passing it on: [`CallBulkhead::admit_next`] does that.
    pub fn release_without_handover(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The waiter `id` no longer waits.
    pub fn withdraw(&mut self, id: WaiterId) -> WithdrawOutcome {
        for queue in &mut self.waiting {
            // Ids grow along a queue.
            if let Ok(place) = queue.binary_search_by_key(&id, |(waiter, _)| *waiter) {
                queue.remove(place);
                return WithdrawOutcome::Withdrawn;
            }
        }
        WithdrawOutcome::HasPermit
    }

    /// Sets the number of permits. If fewer than are taken: those stay until they are released. If more:
    /// [`CallBulkhead::admit_next`] returns the waiters to resume.
    pub fn resize(&mut self, limit: NonZeroU32) {
        self.limit = limit;
    }

    /// Takes the first waiter out of the queue, with a permit, if one is free: the caller resumes it.
    #[must_use = "the waiter that is returned has the place and must be woken"]
    pub fn admit_next(&mut self) -> Option<W> {
        if self.waiting() == 0 || !self.try_acquire() {
            return None;
        }
        self.waiting.iter_mut().find_map(VecDeque::pop_front).map(|(_, waiter)| waiter)
    }

    /// Permits that are taken now.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// How many waiters are in the queue, both lanes together.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.iter().map(|queue| u32::try_from(queue.len()).unwrap_or(u32::MAX)).fold(0, u32::saturating_add)
    }

    /// Waiters that it has room for in all.
    #[must_use]
    pub fn queue_limit(&self) -> u32 {
        self.queue_limit
    }

    /// Room for another number of waiters; waiters that are in it stay.
    pub fn resize_queue(&mut self, queue_limit: u32) {
        self.queue_limit = queue_limit;
    }

    /// How many permits there are, taken or free.
    #[must_use]
    pub fn limit(&self) -> NonZeroU32 {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bulkhead(limit: u32, queue_limit: u32) -> CallBulkhead<&'static str> {
        CallBulkhead::new(NonZeroU32::new(limit).expect("at least one place"), queue_limit)
    }

    #[test]
    fn it_takes_as_many_as_it_has_places_and_queues_as_many_as_it_has_room_for() {
        let mut bulkhead = bulkhead(2, 1);
        assert!(bulkhead.try_acquire() && bulkhead.try_acquire());
        assert!(!bulkhead.try_acquire());
        assert!(bulkhead.enqueue(PriorityLane::Do, "first").is_ok());
        assert_eq!(bulkhead.enqueue(PriorityLane::Do, "second"), Err(BulkheadFullError));
        assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (2, 1));
    }

    #[test]
    fn a_place_passes_to_whoever_came_first_and_nobody_overtakes() {
        let mut bulkhead = bulkhead(1, 8);
        assert!(bulkhead.try_acquire());
        bulkhead.enqueue(PriorityLane::Do, "first").expect("there is room");
        bulkhead.enqueue(PriorityLane::Do, "second").expect("there is room");
        assert_eq!(bulkhead.leave(), Some("first"));
        assert!(!bulkhead.try_acquire());
        assert_eq!(bulkhead.leave(), Some("second"));
        assert_eq!(bulkhead.leave(), None);
        assert!(bulkhead.try_acquire());
    }

    #[test]
    fn undos_go_before_dos() {
        let mut bulkhead = bulkhead(1, 8);
        assert!(bulkhead.try_acquire());
        bulkhead.enqueue(PriorityLane::Do, "do").expect("there is room");
        let gone = bulkhead.enqueue(PriorityLane::Undo, "undo that gives up").expect("there is room");
        bulkhead.enqueue(PriorityLane::Undo, "undo").expect("there is room");
        assert_eq!(bulkhead.withdraw(gone), WithdrawOutcome::Withdrawn);
        assert_eq!(bulkhead.leave(), Some("undo"));
        assert_eq!(bulkhead.leave(), Some("do"));
    }

    #[test]
    fn a_waiter_that_gives_up_leaves_the_queue_unless_it_has_a_place_by_then() {
        let mut bulkhead = bulkhead(1, 8);
        assert!(bulkhead.try_acquire());
        let first = bulkhead.enqueue(PriorityLane::Do, "first").expect("there is room");
        let second = bulkhead.enqueue(PriorityLane::Do, "second").expect("there is room");
        let third = bulkhead.enqueue(PriorityLane::Do, "third").expect("there is room");
        assert_eq!(bulkhead.withdraw(second), WithdrawOutcome::Withdrawn);
        assert_eq!(bulkhead.leave(), Some("first"));
        assert_eq!(bulkhead.withdraw(first), WithdrawOutcome::HasPermit);
        assert_eq!(bulkhead.leave(), Some("third"));
        assert_eq!(bulkhead.withdraw(third), WithdrawOutcome::HasPermit);
    }

    #[test]
    fn fewer_places_are_reached_as_calls_end_and_more_are_there_at_once() {
        let mut bulkhead = bulkhead(2, 8);
        assert!(bulkhead.try_acquire() && bulkhead.try_acquire());
        bulkhead.enqueue(PriorityLane::Do, "first").expect("there is room");
        bulkhead.enqueue(PriorityLane::Do, "second").expect("there is room");
        bulkhead.resize(NonZeroU32::MIN);
        assert_eq!(bulkhead.leave(), None);
        assert_eq!(bulkhead.leave(), Some("first"));
        bulkhead.resize(NonZeroU32::new(3).expect("three"));
        assert_eq!(bulkhead.admit_next(), Some("second"));
        assert_eq!(bulkhead.admit_next(), None);
        assert_eq!(bulkhead.in_flight(), 2);
    }

    #[derive(Clone, Debug)]
    enum BulkheadOperation {
        Arrive,
        Leave,
        GiveUp(usize),
        Resize(u32),
    }

    fn act() -> impl Strategy<Value = BulkheadOperation> {
        prop_oneof![
            4 => Just(BulkheadOperation::Arrive),
            3 => Just(BulkheadOperation::Leave),
            1 => any::<usize>().prop_map(BulkheadOperation::GiveUp),
            1 => (1u32..6).prop_map(BulkheadOperation::Resize),
        ]
    }

    proptest! {
        #[test]
        fn every_place_has_one_holder_and_nobody_waits_beside_a_free_place(acts in prop::collection::vec(act(), 0..200)) {
            let mut bulkhead: CallBulkhead<usize> = CallBulkhead::new(NonZeroU32::MIN, 4);
            let mut holders = 0u32;
            let mut queued: Vec<(WaiterId, usize)> = Vec::new();
            for (arrival, act) in acts.into_iter().enumerate() {
                match act {
                    BulkheadOperation::Arrive if bulkhead.try_acquire() => holders += 1,
                    BulkheadOperation::Arrive => match bulkhead.enqueue(PriorityLane::Do, arrival) {
                        Ok(id) => queued.push((id, arrival)),
                        Err(BulkheadFullError) => prop_assert_eq!(queued.len(), 4),
                    },
                    BulkheadOperation::Leave if holders == 0 => {}
                    BulkheadOperation::Leave => {
                        holders -= 1;
                        if let Some(woken) = bulkhead.leave() {
                            prop_assert_eq!(queued.remove(0).1, woken);
                            holders += 1;
                        }
                    }
                    BulkheadOperation::GiveUp(_) if queued.is_empty() => {}
                    BulkheadOperation::GiveUp(index) => {
                        let (id, _) = queued.remove(index % queued.len());
                        prop_assert_eq!(bulkhead.withdraw(id), WithdrawOutcome::Withdrawn);
                    }
                    BulkheadOperation::Resize(limit) => {
                        bulkhead.resize(NonZeroU32::new(limit).expect("at least one"));
                        while let Some(woken) = bulkhead.admit_next() {
                            prop_assert_eq!(queued.remove(0).1, woken);
                            holders += 1;
                        }
                    }
                }
                prop_assert_eq!(bulkhead.in_flight(), holders);
                prop_assert_eq!(bulkhead.waiting() as usize, queued.len());
                prop_assert!(queued.is_empty() || holders >= bulkhead.limit().get());
            }
        }
    }
}
