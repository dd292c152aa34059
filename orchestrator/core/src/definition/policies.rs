//! Retries as a file says them.

use super::{
    diagnostic::FindingCollector,
    fields::{self, MapReader},
    keys::{PRESETS, RETRY},
    tree::{YamlNode, YamlValue},
    written,
};
use crate::policy::{ExhaustionPolicy, OutagePolicy, RetryPolicy, RetryRule};
use saga_guards::retry::{AttemptLimit, BackoffStrategy, JitterStrategy};
use std::{num::NonZeroU32, ops::RangeInclusive};

/// Least and most of `multiplier`, in percent. Beyond the most a third attempt waits for the longest delay already.
const MULTIPLIER_PERCENT: RangeInclusive<f64> = 100.0..=1_000.0;

/// A preset, or parts that replace those of `base`.
pub(crate) fn retry(node: &YamlNode, base: &RetryPolicy, report: &mut FindingCollector) -> Option<RetryRule> {
    match &node.value {
        YamlValue::Text(_) => {
            let policy = fields::choice(node, "retry", PRESETS, report).map(preset)?;
            Some(RetryRule { policy, says_attempts: true })
        }
        YamlValue::Map(_) => Some(parts(&MapReader::read(node, &RETRY, report)?, base, report)),
        YamlValue::Null
        | YamlValue::Bool(_)
        | YamlValue::Int(_)
        | YamlValue::Uint(_)
        | YamlValue::Float(_)
        | YamlValue::List(_) => {
            let help = "for example {attempts: 3, delay: 1s}";
            fields::wrong(report, node, &format!("`retry` must be one of {}, or a map", PRESETS.join(", "))).help(help);
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

fn parts(fields: &MapReader<'_>, base: &RetryPolicy, report: &mut FindingCollector) -> RetryRule {
    let says_attempts = fields.node("attempts").is_some();
    let attempts = attempts(fields, report).unwrap_or(base.attempts);
    let delay = fields.duration("delay", report).unwrap_or(base.delay);
    let max_delay = fields.duration("maxDelay", report).unwrap_or(base.max_delay.max(delay));
    let backoff = match fields.choice("backoff", &["constant", "linear", "exponential"], report) {
        Some("constant") => BackoffStrategy::Constant,
        Some("linear") => BackoffStrategy::Linear,
        Some(_) => BackoffStrategy::Exponential,
        None => base.backoff,
    };
    let jitter = match fields.choice("jitter", &["none", "equal", "full", "decorrelated"], report) {
        Some("none") => JitterStrategy::None,
        Some("equal") => JitterStrategy::Equal,
        Some("decorrelated") => JitterStrategy::Decorrelated,
        Some(_) => JitterStrategy::Full,
        None => base.jitter,
    };
    let factor_percent = multiplier(fields, report).unwrap_or(base.factor_percent);
    refuse_inverted(fields, delay, max_delay, report);
    RetryRule { policy: RetryPolicy { attempts, delay, max_delay, backoff, jitter, factor_percent }, says_attempts }
}

/// Reads `multiplier:`, a number from 1 to 10, as a percentage.
fn multiplier(fields: &MapReader<'_>, report: &mut FindingCollector) -> Option<u32> {
    let node = fields.node("multiplier")?;
    let factor = match &node.value {
        YamlValue::Float(factor) => *factor,
        YamlValue::Int(factor) => *factor as f64,
        YamlValue::Uint(factor) => *factor as f64,
        YamlValue::Null | YamlValue::Bool(_) | YamlValue::Text(_) | YamlValue::List(_) | YamlValue::Map(_) => f64::NAN,
    };
    let percent = (factor * 100.0).round();
    if MULTIPLIER_PERCENT.contains(&percent) {
        return Some(percent as u32);
    }
    let help = written::unquoted(node).unwrap_or_else(|| "for example multiplier: 1.5".to_owned());
    fields::wrong(report, node, "`multiplier` must be a number from 1 to 10").help(help);
    None
}

fn refuse_inverted(
    fields: &MapReader<'_>,
    delay: std::time::Duration,
    most: std::time::Duration,
    report: &mut FindingCollector,
) {
    if let Some(node) = fields.node("maxDelay").filter(|_| most < delay) {
        let message = "`maxDelay` is shorter than `delay`";
        report.error(super::diagnostic::Code::WrongValue, node.span, message).help("make it at least as long");
    }
}

fn attempts(fields: &MapReader<'_>, report: &mut FindingCollector) -> Option<AttemptLimit> {
    match &fields.node("attempts")?.value {
        YamlValue::Text(text) if text == "forever" => Some(AttemptLimit::Forever),
        YamlValue::Text(_) => {
            let node = fields.node("attempts")?;
            let help = written::unquoted(node).unwrap_or_else(|| "write 3, or forever".to_owned());
            fields::wrong(report, node, "`attempts` must be a whole number of at least 1, or `forever`").help(help);
            None
        }
        YamlValue::Null
        | YamlValue::Bool(_)
        | YamlValue::Int(_)
        | YamlValue::Uint(_)
        | YamlValue::Float(_)
        | YamlValue::List(_)
        | YamlValue::Map(_) => {
            let count = fields.integer("attempts", 1, report)?;
            NonZeroU32::new(count).map(AttemptLimit::Limited)
        }
    }
}

/// Reads `onOutage:`; `None` if the key is absent or wrong, which is reported.
pub(crate) fn on_outage(fields: &MapReader<'_>, report: &mut FindingCollector) -> Option<OutagePolicy> {
    match fields.choice("onOutage", &["extend", "count"], report)? {
        "count" => Some(OutagePolicy::Count),
        _ => Some(OutagePolicy::Extend),
    }
}

/// Reads `onExhausted:`; `None` if the key is absent or wrong, which is reported.
pub(crate) fn on_exhausted(fields: &MapReader<'_>, report: &mut FindingCollector) -> Option<ExhaustionPolicy> {
    match fields.choice("onExhausted", &["compensate", "park"], report)? {
        "park" => Some(ExhaustionPolicy::Park),
        _ => Some(ExhaustionPolicy::Compensate),
    }
}
