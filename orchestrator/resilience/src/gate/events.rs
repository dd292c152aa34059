//! What a gate publishes and logs of its breaker.

use super::{CallGate, state::BreakerOpening};
use crate::{failed_call::FailedCall, guard_events::GuardEventKind};
use saga_guards::breaker::{BreakerTransition, TripReason};
use tracing::{info, warn};

impl CallGate {
    pub(super) fn publish(&self, what: GuardEventKind) {
        self.changes.publish(Some(&self.name), what);
    }

    pub(super) fn report_transition(&self, transition: BreakerTransition, opening: Option<BreakerOpening>) {
        let participant = self.name();
        match transition {
            BreakerTransition::Kept | BreakerTransition::Stale => {}
            BreakerTransition::Opened(trip) => {
                self.report_opening(trip, opening);
            }
            BreakerTransition::Closed => {
                info!(participant, "the breaker closed");
                self.publish(GuardEventKind::BreakerClosed);
            }
            BreakerTransition::WouldOpen(trip) => {
                warn!(participant, trip = trip.as_str(), "the breaker only counts, and would have opened");
                self.publish(GuardEventKind::BreakerWouldOpen { trip });
            }
        }
    }

    fn report_opening(&self, trip: TripReason, opening: Option<BreakerOpening>) {
        let (participant, trip_word) = (self.name(), trip.as_str());
        let (tripped, last) = opening.map_or((None, None), |opening| (opening.tripped, opening.last));
        let (calls, failed) = tripped.map_or((0, 0), |tripped| (tripped.calls, tripped.failures));
        let saga = last.as_ref().map(|last| last.saga.as_str());
        let failure = last.as_ref().map(FailedCall::describe).unwrap_or_default();
        match trip {
            TripReason::Probe => {
                warn!(
                    participant,
                    trip = trip_word,
                    failure,
                    saga,
                    "a probe failed: the breaker stays open; commands wait"
                );
            }
            TripReason::FailureRate | TripReason::SlowCallRate | TripReason::ConsecutiveFailures => {
                warn!(participant, trip = trip_word, calls, failed, failure, saga, "the breaker opened; commands wait");
            }
        }
        self.publish(GuardEventKind::BreakerOpened { trip, calls, failures: failed, last });
    }
}
