//! What people decide about guards: forced open, forced closed, only counting, limits, and all of it taken back.
//!
//! The truth is a log of notes in the event store: who did what, when, and why. Folding it gives what is in force for
//! each participant, the same for every engine and after every restart. The engine reads and writes it.

mod limits;

pub use limits::{ManualLimits, ManualLimitsError, ManualRate};

use saga_core::act_author::ActOrigin;
pub use saga_guards::breaker::BreakerMode;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// A reason or a name longer than this is an essay; it is kept for ever.
pub(crate) const MAX_TEXT_BYTES: usize = 2_000;

/// An act on the guards of one participant, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverrideRequest {
    /// The participant whose guards are changed.
    pub participant: String,
    /// What the operator does to the guards.
    #[serde(flatten)]
    pub action: GuardAction,
    /// The operator, for the record.
    pub who: String,
    /// The operator's reason, for the record.
    pub reason: String,
    /// Of [`GuardAction::Open`]: when it ends by itself, RFC 3339; `None`: when another act ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// From where the act came.
    #[serde(default, skip_serializing_if = "ActOrigin::is_unknown")]
    pub origin: ActOrigin,
}

/// What can be done to guards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", content = "given", rename_all = "camelCase")]
pub enum GuardAction {
    /// No call is let through.
    Open,
    /// Every call is let through; nothing is counted.
    Close,
    /// Everything that was done is taken back, and the breaker begins closed, with an empty window.
    Reset,
    /// Every call is let through and counted.
    MetricsOnly,
    /// Limits other than those of participants.yaml.
    Set(ManualLimits),
}

impl GuardAction {
    /// The stable name of the act, as in its JSON form.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            GuardAction::Open => "open",
            GuardAction::Close => "close",
            GuardAction::Reset => "reset",
            GuardAction::MetricsOnly => "metricsOnly",
            GuardAction::Set(_) => "set",
        }
    }
}

/// What is in force for one participant, beside participants.yaml.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OverrideState {
    /// Whether its breaker decides by itself, and if not, what it does.
    pub mode: BreakerMode,
    /// The share of its capacity that is used, above 0 and at most 1; `None`: as participants.yaml says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Calls that may be under way at once; `None`: as participants.yaml says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bulkhead: Option<NonZeroU32>,
    /// Calls in a span; `None`: as participants.yaml says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<ManualRate>,
    /// How often all was reset: a gate that sees it grow empties the breaker's window.
    #[serde(skip)]
    pub resets: u64,
}

impl OverrideState {
    /// What is in force after `action`. What `Set` does not name stays.
    #[must_use]
    pub fn after(&self, action: &GuardAction) -> OverrideState {
        match action {
            GuardAction::Open => OverrideState { mode: BreakerMode::ForcedOpen, ..self.clone() },
            GuardAction::Close => OverrideState { mode: BreakerMode::ForcedClosed, ..self.clone() },
            GuardAction::MetricsOnly => OverrideState { mode: BreakerMode::MetricsOnly, ..self.clone() },
            GuardAction::Reset => OverrideState { resets: self.resets + 1, ..OverrideState::default() },
            GuardAction::Set(given) => OverrideState {
                share: given.share.or(self.share),
                bulkhead: given.bulkhead.or(self.bulkhead),
                rate: given.rate.or(self.rate),
                ..self.clone()
            },
        }
    }

    /// What is in force when the time of [`GuardAction::Open`] has ended.
    #[must_use]
    pub fn after_pause(&self) -> OverrideState {
        match self.mode {
            BreakerMode::ForcedOpen => OverrideState { mode: BreakerMode::Automatic, ..self.clone() },
            BreakerMode::Automatic | BreakerMode::ForcedClosed | BreakerMode::MetricsOnly => self.clone(),
        }
    }

    /// Whether participants.yaml alone counts.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == OverrideState { resets: self.resets, ..OverrideState::default() }
    }
}

/// Whether an operator's name and reason can be put on record.
///
/// # Errors
/// Which of them cannot, and what is expected.
pub fn check_texts(who: &str, reason: &str) -> Result<(), String> {
    for (name, text) in [("who", who), ("reason", reason)] {
        if text.trim().is_empty() || text.len() > MAX_TEXT_BYTES || text.contains('\0') {
            return Err(format!("`{name}` must be a text of 1 to {MAX_TEXT_BYTES} bytes"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(share: Option<f64>, bulkhead: u32) -> GuardAction {
        GuardAction::Set(ManualLimits { share, bulkhead: NonZeroU32::new(bulkhead), rate: None })
    }

    fn folded(actions: &[GuardAction]) -> OverrideState {
        actions.iter().fold(OverrideState::default(), |before, action| before.after(action))
    }

    #[test]
    fn the_last_who_decides_about_the_breaker_decides() {
        assert_eq!(folded(&[GuardAction::Open, GuardAction::Close]).mode, BreakerMode::ForcedClosed);
        assert_eq!(folded(&[GuardAction::Close, GuardAction::MetricsOnly]).mode, BreakerMode::MetricsOnly);
    }

    #[test]
    fn what_is_set_stays_until_it_is_set_otherwise_or_reset() {
        let both = folded(&[set(Some(0.25), 0), set(None, 10), GuardAction::Open]);
        assert_eq!((both.share, both.bulkhead, both.mode), (Some(0.25), NonZeroU32::new(10), BreakerMode::ForcedOpen));
        let reset = folded(&[set(Some(0.25), 10), GuardAction::Open, GuardAction::Reset]);
        assert!(reset.is_none());
        assert_eq!(reset.resets, 1);
    }

    #[test]
    fn an_act_reads_back_from_the_record() {
        let given = ManualLimits { share: Some(0.25), bulkhead: NonZeroU32::new(10), rate: "50/s".parse().ok() };
        let act = OverrideRequest {
            participant: "payments".into(),
            action: GuardAction::Set(given),
            who: "anna".into(),
            reason: "they migrate".into(),
            until: Some("2026-12-01T10:00:00Z".into()),
            origin: ActOrigin::default(),
        };
        let stored = serde_json::to_value(&act).expect("serialisable");
        let expected = json!({"participant": "payments", "action": "set",
            "given": {"share": 0.25, "bulkhead": 10, "rate": "50/s"}, "who": "anna", "reason": "they migrate",
            "until": "2026-12-01T10:00:00Z"});
        assert_eq!(stored, expected);
        assert_eq!(serde_json::from_str::<OverrideRequest>(&stored.to_string()).expect("reads back"), act);
        let open = json!({"participant": "payments", "action": "open", "who": "anna", "reason": "down"});
        assert_eq!(serde_json::from_value::<OverrideRequest>(open).expect("reads").action, GuardAction::Open);
    }
}
