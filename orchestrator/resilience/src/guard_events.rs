//! What happens to guards, as it happens: for all that follow `GET /api/guards/events`.

use super::lifecycle::LifecyclePhase;
use crate::{
    failed_call::FailedCall,
    json_format::{as_millis, as_rfc3339},
    overrides::GuardAction,
};
use saga_base::clock::EngineClock;
use saga_core::time::Timestamp;
use saga_guards::breaker::{BreakerMode, TripReason};
use serde::{Serialize, Serializer};
use std::{sync::Arc, time::Duration};
use tokio::sync::broadcast;

/// Changes that are kept for a slow reader: a fault of the network that trips every breaker and ejects every endpoint
/// of a large installation at once. A reader that falls behind further receives the number of changes that it missed.
pub const KEPT: usize = 1_024;

/// Where changes are published and followed. Publishing never waits, with or without followers.
#[derive(Clone, Debug)]
pub struct GuardEventBus(broadcast::Sender<Arc<GuardEvent>>);

/// One change, as readers of the [`GuardEventBus`] receive it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardEvent {
    /// When the change happened, by this engine's clock.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: Timestamp,
    /// The participant that it concerns; `None`: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    /// The kind of the change, with its details.
    #[serde(flatten)]
    pub what: GuardEventKind,
}

/// What can change, with the details of each kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum GuardEventKind {
    /// The breaker opened by what it counted.
    BreakerOpened {
        /// What made the breaker open.
        #[serde(serialize_with = "as_word")]
        trip: TripReason,
        /// Calls that it had counted when it opened first.
        calls: u32,
        /// How many of them failed.
        failures: u32,
        /// The last call that failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        last: Option<FailedCall>,
    },
    /// The breaker is half-open: it lets probes through.
    BreakerHalfOpen,
    /// It closed by what its probes said.
    BreakerClosed,
    /// It only counts, and would have opened.
    BreakerWouldOpen {
        /// What would have made an automatic breaker open.
        #[serde(serialize_with = "as_word")]
        trip: TripReason,
    },
    /// An operator decides now what the breaker does, or no operator any more.
    ModeChanged {
        /// The mode of the breaker from now on.
        mode: BreakerMode,
    },
    /// A record with another payload came under the key of a saga, and starts nothing.
    KeyTaken {
        /// Name of the definition whose saga the record would have started.
        saga: String,
        /// The business key that a saga already has.
        key: String,
        /// Id of the saga that has it.
        taken_by: String,
        /// Topic, partition and offset of the record.
        record: String,
    },
    /// Breaker and limits began anew.
    Reset,
    /// This engine read an act from the record and put it into effect.
    ActApplied {
        /// Its place on the record.
        number: i64,
        /// The operator's act on the guards.
        #[serde(flatten)]
        action: GuardAction,
        /// Name of the operator who acted.
        who: String,
        /// Why the operator acted, in the operator's words.
        reason: String,
    },
    /// The participant asked not to be called for a time (`Retry-After` with 429 or 503), and is not.
    PauseAsked {
        /// How long the participant asked not to be called.
        #[serde(rename = "forMs", serialize_with = "as_millis")]
        span: Duration,
    },
    /// An endpoint gets no calls for a time: it fails more than the others.
    EndpointEjected {
        /// Address of the endpoint, without secrets.
        endpoint: String,
        /// How long the endpoint gets no calls.
        #[serde(rename = "forMs", serialize_with = "as_millis")]
        span: Duration,
    },
    /// An endpoint that was ejected gets calls again.
    EndpointReturned {
        /// Address of the endpoint, without secrets.
        endpoint: String,
    },
    /// A health check says otherwise than before.
    HealthChanged {
        /// Address of the endpoint; `None`: the health is that of the participant.
        #[serde(skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// Whether the checks find it healthy now.
        healthy: bool,
    },
    /// The participant's lifecycle has a new phase.
    Lifecycle {
        /// The phase that the participant is in now.
        phase: LifecyclePhase,
    },
    /// Only a share of the participant's capacity is used.
    Degraded {
        /// The share, above 0 and at most 1.
        share: f64,
    },
    /// All of it is used again.
    Restored,
    /// participants.yaml was read anew and is in effect.
    ConfigReloaded,
    /// participants.yaml was read anew and refused whole; what was in effect stays.
    ConfigRefused {
        /// What is wrong with the file, without secrets.
        reason: String,
    },
}

impl Default for GuardEventBus {
    fn default() -> GuardEventBus {
        GuardEventBus(broadcast::Sender::new(KEPT))
    }
}

impl GuardEventBus {
    /// Tells all followers. Costs next to nothing while there is none.
    pub fn publish(&self, participant: Option<&str>, what: GuardEventKind) {
        if self.0.receiver_count() == 0 {
            return;
        }
        let change = GuardEvent { at: EngineClock::Wall.now(), participant: participant.map(str::to_owned), what };
        // The last follower may have gone just now.
        drop(self.0.send(Arc::new(change)));
    }

    /// All changes from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Arc<GuardEvent>> {
        self.0.subscribe()
    }
}

fn as_word<S: Serializer>(trip: &TripReason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(trip.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn shown(what: GuardEventKind) -> Value {
        let change = GuardEvent { at: Timestamp(0), participant: Some("payments".into()), what };
        serde_json::to_value(change).expect("serialisable")
    }

    #[test]
    fn a_change_says_when_whom_and_what() {
        let at = "1970-01-01T00:00:00.000Z";
        assert_eq!(
            shown(GuardEventKind::BreakerOpened { trip: TripReason::FailureRate, calls: 10, failures: 5, last: None }),
            json!({"at": at, "participant": "payments", "change": "breakerOpened", "trip": "failureRate",
                   "calls": 10, "failures": 5})
        );
        let span = Duration::from_millis(1_500);
        assert_eq!(
            shown(GuardEventKind::EndpointEjected { endpoint: "http://b:1".into(), span }),
            json!({"at": at, "participant": "payments", "change": "endpointEjected", "endpoint": "http://b:1", "forMs": 1500})
        );
        let act = GuardEventKind::ActApplied {
            number: 3,
            action: GuardAction::Open,
            who: "anna".into(),
            reason: "upgrade".into(),
        };
        assert_eq!(
            shown(act),
            json!({"at": at, "participant": "payments", "change": "actApplied", "number": 3, "action": "open",
                   "who": "anna", "reason": "upgrade"})
        );
    }

    #[test]
    fn whoever_follows_late_or_slowly_is_no_burden() {
        let changes = GuardEventBus::default();
        changes.publish(Some("payments"), GuardEventKind::BreakerClosed);
        let mut follower = changes.follow();
        for _ in 0..=KEPT {
            changes.publish(None, GuardEventKind::ConfigReloaded);
        }
        assert!(matches!(follower.try_recv(), Err(broadcast::error::TryRecvError::Lagged(1))));
        assert_eq!(follower.try_recv().expect("kept").what, GuardEventKind::ConfigReloaded);
    }
}
