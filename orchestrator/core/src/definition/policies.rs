//! Retries as a file says them.

use super::{
    diagnostic::Report,
    fields::{self, Fields},
    keys::RETRY,
    tree::{Node, Yaml},
    written,
};
use crate::policy::{OnExhausted, OnOutage, RetryPolicy, RetryRule};
use saga_guards::retry::{Attempts, Backoff, Jitter};
use std::{num::NonZeroU32, ops::RangeInclusive};

/// Names of the presets. The last is another spelling of the one before.
pub(crate) const PRESETS: &[&str] = &["quick", "standard", "aggressive", "rate-limited", "rateLimited"];

/// Least and most of `multiplier`, in percent. Beyond the most a third attempt waits for the longest delay already.
const MULTIPLIER_PERCENT: RangeInclusive<f64> = 100.0..=1_000.0;

/// A preset, or parts that replace those of `base`.
pub(crate) fn retry(node: &Node, base: &RetryPolicy, report: &mut Report) -> Option<RetryRule> {
    match &node.value {
        Yaml::Text(_) => {
            let policy = fields::choice(node, "retry", PRESETS, report).map(preset)?;
            Some(RetryRule { policy, says_attempts: true })
        }
        Yaml::Map(_) => Some(parts(&Fields::read(node, &RETRY, report)?, base, report)),
        Yaml::Null | Yaml::Bool(_) | Yaml::Int(_) | Yaml::Uint(_) | Yaml::Float(_) | Yaml::List(_) => {
            let help = "for example {attempts: 3, delay: 1s}";
            fields::wrong(report, node, &format!("`retry` is one of {}, or a map", PRESETS.join(", "))).help(help);
            None
        }
    }
}

fn preset(name: &str) -> RetryPolicy {
    match name {
        "quick" => RetryPolicy::quick(),
        "aggressive" => RetryPolicy::aggressive(),
        "rate-limited" | "rateLimited" => RetryPolicy::rate_limited(),
        _ => RetryPolicy::standard(),
    }
}

fn parts(fields: &Fields<'_>, base: &RetryPolicy, report: &mut Report) -> RetryRule {
    let says_attempts = fields.node("attempts").is_some();
    let attempts = attempts(fields, report).unwrap_or(base.attempts);
    let delay = fields.duration("delay", report).unwrap_or(base.delay);
    let max_delay = fields.duration("maxDelay", report).unwrap_or(base.max_delay.max(delay));
    let backoff = match fields.choice("backoff", &["constant", "linear", "exponential"], report) {
        Some("constant") => Backoff::Constant,
        Some("linear") => Backoff::Linear,
        Some(_) => Backoff::Exponential,
        None => base.backoff,
    };
    let jitter = match fields.choice("jitter", &["none", "equal", "full", "decorrelated"], report) {
        Some("none") => Jitter::None,
        Some("equal") => Jitter::Equal,
        Some("decorrelated") => Jitter::Decorrelated,
        Some(_) => Jitter::Full,
        None => base.jitter,
    };
    let factor_percent = multiplier(fields, report).unwrap_or(base.factor_percent);
    refuse_inverted(fields, delay, max_delay, report);
    RetryRule { policy: RetryPolicy { attempts, delay, max_delay, backoff, jitter, factor_percent }, says_attempts }
}

/// `multiplier:`, in percent.
fn multiplier(fields: &Fields<'_>, report: &mut Report) -> Option<u32> {
    let node = fields.node("multiplier")?;
    let factor = match &node.value {
        Yaml::Float(factor) => *factor,
        Yaml::Int(factor) => *factor as f64,
        Yaml::Uint(factor) => *factor as f64,
        Yaml::Null | Yaml::Bool(_) | Yaml::Text(_) | Yaml::List(_) | Yaml::Map(_) => f64::NAN,
    };
    let percent = (factor * 100.0).round();
    if MULTIPLIER_PERCENT.contains(&percent) {
        return Some(percent as u32);
    }
    let help = written::unquoted(node).unwrap_or_else(|| "for example multiplier: 1.5".to_owned());
    fields::wrong(report, node, "`multiplier` is a number from 1 to 10").help(help);
    None
}

fn refuse_inverted(fields: &Fields<'_>, delay: std::time::Duration, most: std::time::Duration, report: &mut Report) {
    if let Some(node) = fields.node("maxDelay").filter(|_| most < delay) {
        let message = "`maxDelay` is shorter than `delay`";
        report.error(super::diagnostic::Code::WrongValue, node.span, message).help("make it at least as long");
    }
}

fn attempts(fields: &Fields<'_>, report: &mut Report) -> Option<Attempts> {
    match &fields.node("attempts")?.value {
        Yaml::Text(text) if text == "forever" => Some(Attempts::Forever),
        Yaml::Text(_) => {
            let node = fields.node("attempts")?;
            let help = written::unquoted(node).unwrap_or_else(|| "write 3, or forever".to_owned());
            fields::wrong(report, node, "`attempts` is a whole number of at least 1, or `forever`").help(help);
            None
        }
        Yaml::Null | Yaml::Bool(_) | Yaml::Int(_) | Yaml::Uint(_) | Yaml::Float(_) | Yaml::List(_) | Yaml::Map(_) => {
            let count = fields.integer("attempts", 1, report)?;
            NonZeroU32::new(count).map(Attempts::Limited)
        }
    }
}

/// `onOutage:`
pub(crate) fn on_outage(fields: &Fields<'_>, report: &mut Report) -> Option<OnOutage> {
    match fields.choice("onOutage", &["extend", "count"], report)? {
        "count" => Some(OnOutage::Count),
        _ => Some(OnOutage::Extend),
    }
}

/// `onExhausted:`
pub(crate) fn on_exhausted(fields: &Fields<'_>, report: &mut Report) -> Option<OnExhausted> {
    match fields.choice("onExhausted", &["compensate", "park"], report)? {
        "park" => Some(OnExhausted::Park),
        _ => Some(OnExhausted::Compensate),
    }
}
