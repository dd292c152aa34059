//! What a rule says of a setting.

use super::setting::{SettingKey, SettingScope, SettingValue};
use serde::Serialize;
use std::collections::BTreeMap;

/// Numbers behind an advice, by name.
pub(super) type EvidenceFigures = BTreeMap<&'static str, f64>;

/// How far the evidence carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AdviceConfidence {
    /// The value is estimated beyond what was seen, or from few cases.
    Low,
    /// The value was seen, in few cases.
    Medium,
    /// The value was seen, in many cases.
    High,
}

impl AdviceConfidence {
    /// In a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AdviceConfidence::Low => "low",
            AdviceConfidence::Medium => "medium",
            AdviceConfidence::High => "high",
        }
    }
}

/// A setting that should have another value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RuleAdvice {
    pub(super) value: SettingValue,
    pub(super) because: String,
    pub(super) figures: EvidenceFigures,
    pub(super) effect: String,
    pub(super) confidence: AdviceConfidence,
}

/// What a rule finds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RuleVerdict {
    Change(Box<RuleAdvice>),
    /// The present value fits, for this reason.
    Fits(String),
    /// What there is, and what would be enough.
    TooLittle(String),
}

/// A rule's verdict on one setting.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct JudgedSetting {
    pub(super) scope: SettingScope,
    pub(super) key: SettingKey,
    pub(super) present: SettingValue,
    pub(super) verdict: RuleVerdict,
}

/// A share as people read it.
pub(super) fn percent(share: f64) -> String {
    let digits = if share >= 0.1 || share == 0.0 { 0 } else { usize::from(share >= 0.01) + 1 };
    format!("{:.digits$} %", share * 100.0)
}

/// A part of a whole; 0 of nothing.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
