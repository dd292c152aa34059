use crate::Monotonic;
use std::time::Duration;

/// Identity of one probe. Never used twice, so that a slot that was given back and handed out again is not confused with its former holder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProbeId(u64);

/// The calls of one half-open period: at most as many as were configured are out or have succeeded.
#[derive(Clone, Debug, Default)]
pub(super) struct Probing {
    out: Vec<Slot>,
    succeeded: u32,
    last: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    probe: ProbeId,
    /// When the slot is given to somebody else, because a holder that vanished must not keep the breaker half-open for ever.
    until: Monotonic,
}

impl Probing {
    /// Hands out a slot for `hold` at the longest.
    ///
    /// # Errors
    /// How long until one may be free, as far as the holders' limits say.
    pub(super) fn take(&mut self, probes: u32, now: Monotonic, hold: Duration) -> Result<ProbeId, Duration> {
        self.out.retain(|slot| slot.until > now);
        // Where none is out one may always leave, even if more have succeeded than are asked for since the configuration changed.
        if let Some(next) = self.out.iter().map(|slot| slot.until.since(now)).min()
            && self.in_use() >= probes
        {
            return Err(next);
        }
        self.last += 1;
        let probe = ProbeId(self.last);
        self.out.push(Slot { probe, until: now.plus(hold) });
        Ok(probe)
    }

    /// The probe's slot is free; nothing is known of the participant.
    pub(super) fn give_back(&mut self, probe: ProbeId) {
        self.out.retain(|slot| slot.probe != probe);
    }

    /// The probe succeeded, whether or not it still held its slot: it was begun in this period.
    pub(super) fn succeeded(&mut self, probe: ProbeId) -> u32 {
        self.give_back(probe);
        self.succeeded += 1;
        self.succeeded
    }

    pub(super) fn out(&self, now: Monotonic) -> u32 {
        count(self.out.iter().filter(|slot| slot.until > now).count())
    }

    fn in_use(&self) -> u32 {
        count(self.out.len()).saturating_add(self.succeeded)
    }
}

fn count(slots: usize) -> u32 {
    u32::try_from(slots).unwrap_or(u32::MAX)
}
