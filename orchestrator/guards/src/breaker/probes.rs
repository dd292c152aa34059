//! The few calls that a half-open breaker lets through.

use std::time::Duration;

/// Slots of probes that are under way, and how many have succeeded.
#[derive(Clone, Debug)]
pub(super) struct Probes {
    slots: Box<[Slot]>,
    succeeded: u32,
    tickets: u64,
}

/// Who holds a slot, and until when it is held at most.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    held: Option<(u64, Duration)>,
}

/// Proof of holding a slot; stale once the slot expired and went to another probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    slot: usize,
    number: u64,
}

impl Probes {
    pub(super) fn new(probes: u32) -> Probes {
        let slots = (0..probes).map(|_| Slot::default()).collect();
        Probes { slots, succeeded: 0, tickets: 0 }
    }

    /// A slot for a probe at `now`, held until `expiry`; refused with the time at which the next slot expires. What has succeeded
    /// needs no second probe.
    pub(super) fn take(&mut self, now: Duration, expiry: Duration) -> Result<Ticket, Duration> {
        self.expire(now);
        let under_way = self.slots.iter().filter(|slot| slot.held.is_some()).count();
        let wanted = self.slots.len() - usize::try_from(self.succeeded).unwrap_or(self.slots.len());
        let free = self.slots.iter().position(|slot| slot.held.is_none());
        match free {
            Some(slot) if under_way < wanted => Ok(self.hold(slot, expiry)),
            Some(_) | None => Err(self.next_expiry().unwrap_or(now)),
        }
    }

    /// Counts a success of a valid ticket; true when all probes have succeeded.
    pub(super) fn succeed(&mut self, ticket: Ticket, now: Duration) -> bool {
        if self.give_back(ticket, now) {
            self.succeeded += 1;
        }
        usize::try_from(self.succeeded).unwrap_or(usize::MAX) >= self.slots.len()
    }

    /// Frees the slot; false if the ticket is stale.
    pub(super) fn give_back(&mut self, ticket: Ticket, now: Duration) -> bool {
        self.expire(now);
        let slot = &mut self.slots[ticket.slot];
        let valid = slot.held.is_some_and(|(number, _)| number == ticket.number);
        if valid {
            slot.held = None;
        }
        valid
    }

    fn hold(&mut self, slot: usize, expiry: Duration) -> Ticket {
        self.tickets += 1;
        self.slots[slot].held = Some((self.tickets, expiry));
        Ticket { slot, number: self.tickets }
    }

    fn expire(&mut self, now: Duration) {
        for slot in &mut self.slots {
            slot.held = slot.held.filter(|(_, expiry)| now < *expiry);
        }
    }

    fn next_expiry(&self) -> Option<Duration> {
        self.slots.iter().filter_map(|slot| slot.held.map(|(_, expiry)| expiry)).min()
    }
}
