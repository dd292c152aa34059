use crate::MonotonicTime;
use std::time::Duration;

/// A slot is kept for at least this long, so that a caller that gives itself no time at all does not make room for ever
/// more calls.
const SHORTEST_HOLD: Duration = Duration::from_millis(1);

/// Identity of one slot. Never used twice, so that a slot that was given back and handed out again is not confused with
/// its former holder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProbeSlotId(u64);

/// The slots that are out: those of probes, or those of the ramp.
#[derive(Clone, Debug)]
pub(super) struct ProbeSlots {
    out: Vec<ProbeSlot>,
    last: u64,
    expired: u64,
}

#[derive(Clone, Copy, Debug)]
struct ProbeSlot {
    id: ProbeSlotId,
    /// When the slot is given to another call, because a holder that vanished must not keep the breaker from closing
    /// for ever.
    until: MonotonicTime,
}

impl ProbeSlots {
    /// Room for `most` slots; more are never asked for.
    pub(super) fn new(most: u32) -> ProbeSlots {
        ProbeSlots { out: Vec::with_capacity(most as usize), last: 0, expired: 0 }
    }

    /// Hands out a slot for `hold` if fewer than `most` are out.
    ///
    /// # Errors
    /// How long until one is free, as far as the holders' limits say. More than zero.
    pub(super) fn take(&mut self, most: u32, now: MonotonicTime, hold: Duration) -> Result<ProbeSlotId, Duration> {
        self.expire(now);
        if count(self.out.len()) >= most {
            return Err(self.next_free(now).unwrap_or(hold));
        }
        self.last += 1;
        let id = ProbeSlotId(self.last);
        self.out.push(ProbeSlot { id, until: now.plus(hold.max(SHORTEST_HOLD)) });
        Ok(id)
    }

    /// The slot is free, if its holder still had it.
    pub(super) fn give_back(&mut self, id: ProbeSlotId) {
        if let Some(index) = self.out.iter().position(|slot| slot.id == id) {
            self.out.swap_remove(index);
        }
    }

    /// Takes back every slot: no call holds one of the state that begins now.
    pub(super) fn clear(&mut self) {
        self.out.clear();
    }

    /// Slots whose holders have not run out of time.
    pub(super) fn out(&self, now: MonotonicTime) -> u32 {
        count(self.out.iter().filter(|slot| slot.until > now).count())
    }

    /// How long until the first holder runs out of time; `None` if none is out.
    pub(super) fn next_free(&self, now: MonotonicTime) -> Option<Duration> {
        self.out.iter().filter(|slot| slot.until > now).map(|slot| slot.until.since(now)).min()
    }

    /// Slots that were ever taken from a holder whose time was over.
    pub(super) fn expired(&self) -> u64 {
        self.expired
    }

    fn expire(&mut self, now: MonotonicTime) {
        let before = self.out.len();
        self.out.retain(|slot| slot.until > now);
        self.expired += u64::from(count(before - self.out.len()));
    }
}

fn count(slots: usize) -> u32 {
    u32::try_from(slots).unwrap_or(u32::MAX)
}
