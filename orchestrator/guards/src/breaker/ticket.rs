use super::probe_slots::ProbeSlotId;
use std::time::Duration;

/// The breaker's answer to a call that asks.
#[derive(Debug)]
pub enum BreakerAdmission {
    /// The call may be made; settle the ticket when its end is known.
    Admitted(BreakerTicket),
    /// The call may not be made now.
    Refused {
        /// When to ask again: not before this long, more than zero. Exact, so spread it: many wait for the same moment.
        retry_after: Duration,
        /// What of the breaker refuses the call, for metrics and for the caller.
        why: BreakerRefusal,
    },
}

/// What of a breaker refuses a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerRefusal {
    /// The breaker is open, and its time is not over.
    Open,
    /// An operator has forced the breaker open.
    Forced,
    /// The breaker is half-open, and all probes are in flight.
    Probing,
    /// The breaker has just closed, and as many calls are in flight as the ramp allows.
    Ramp,
    /// The participant accepts fewer calls than are made, and this one was drawn.
    Shed,
    /// The participant asked for a pause.
    Asked,
}

impl BreakerRefusal {
    /// Its name in metrics and in what people read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            BreakerRefusal::Open => "open",
            BreakerRefusal::Forced => "forced",
            BreakerRefusal::Probing => "probing",
            BreakerRefusal::Ramp => "ramp",
            BreakerRefusal::Shed => "shed",
            BreakerRefusal::Asked => "asked",
        }
    }
}

/// The right to make one call. Settle it, [`CallVerdict::Neutral`] if nothing came of it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a ticket that is not settled keeps its slot until its time is over"]
pub struct BreakerTicket {
    pub(super) generation: u64,
    pub(super) kind: TicketKind,
}

/// Which of a breaker's states, counted from its beginning, a ticket was issued in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerGeneration(pub(super) u64);

/// By what a call was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TicketKind {
    Unlimited,
    Probe(ProbeSlotId),
    Ramp(ProbeSlotId),
}

impl BreakerTicket {
    /// The state that it was issued in.
    #[must_use]
    pub fn generation(&self) -> BreakerGeneration {
        BreakerGeneration(self.generation)
    }

    /// Whether the call finds out if the participant is back.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        match self.kind {
            TicketKind::Probe(_) => true,
            TicketKind::Unlimited | TicketKind::Ramp(_) => false,
        }
    }
}

/// What a call says about its participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallVerdict {
    /// It answered, whatever the answer says about the business.
    Succeeded,
    /// It could not be reached, did not answer, or broke: transport faults, timeouts, 5xx.
    Failed,
    /// It asks for fewer calls (429). Counts as failed in the rate and as a probe, but never in a row: a participant
    /// that defends itself is not down. The rule of linkerd's proxy.
    Throttled,
    /// Nothing: the call was not sent, or the engine gave it up for a reason of its own.
    Neutral,
}

impl CallVerdict {
    /// Whether the call counts as failed; `None`: it does not count.
    pub(super) fn failed(self) -> Option<bool> {
        match self {
            CallVerdict::Succeeded => Some(false),
            CallVerdict::Failed | CallVerdict::Throttled => Some(true),
            CallVerdict::Neutral => None,
        }
    }
}

/// What settling a ticket did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerTransition {
    /// It was counted, or was neutral, and the state is the same.
    Kept,
    /// It belongs to an earlier state and was not counted.
    Stale,
    /// The breaker opened, for this reason.
    Opened(TripReason),
    /// The breaker closed: it admits calls again.
    Closed,
    /// It only counts, and would have opened now. Said once per window.
    WouldOpen(TripReason),
}

/// Why a breaker opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TripReason {
    /// Too large a share of the window's calls failed.
    FailureRate,
    /// Too large a share of the window's calls was slow.
    SlowCallRate,
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// A probe failed, or was slow.
    Probe,
}

impl TripReason {
    /// Its name in metrics and in what people read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            TripReason::FailureRate => "failureRate",
            TripReason::SlowCallRate => "slowCallRate",
            TripReason::ConsecutiveFailures => "consecutiveFailures",
            TripReason::Probe => "probe",
        }
    }
}
