//! Settings by the names that files give them, and their values as YAML.

use saga_core::{
    definition::participants::BulkheadConfig,
    policy::{AttemptLimit, RetryPolicy},
};
use saga_guards::{
    breaker::{BreakerParameters, WindowConfig},
    rate::CallRate,
    retry::{BackoffStrategy, JitterStrategy},
};
use serde::Serialize;
use std::{fmt, time::Duration};

/// Where a setting is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SettingScope {
    /// In participants.yaml, for every definition that calls the participant.
    Participant(String),
    /// In a definition, for its steps that say nothing.
    Saga(String),
    /// In a step of a definition.
    Step {
        /// The definition.
        saga: String,
        /// The step.
        step: String,
    },
    /// In the undo of a step.
    Undo {
        /// The definition.
        saga: String,
        /// The step.
        step: String,
    },
}

impl SettingScope {
    /// The keys that lead to it in its file; a step is named by its name.
    pub(super) fn path(&self) -> Vec<&str> {
        match self {
            SettingScope::Participant(name) => vec!["participants", name],
            SettingScope::Saga(_) => Vec::new(),
            SettingScope::Step { step, .. } => vec!["steps", step],
            SettingScope::Undo { step, .. } => vec!["steps", step, "undo"],
        }
    }

    /// The definition that it is in; `None`: it is in participants.yaml.
    #[must_use]
    pub fn saga(&self) -> Option<&str> {
        match self {
            SettingScope::Participant(_) => None,
            SettingScope::Saga(saga) | SettingScope::Step { saga, .. } | SettingScope::Undo { saga, .. } => Some(saga),
        }
    }
}

impl fmt::Display for SettingScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingScope::Participant(name) => write!(f, "participant {name}"),
            SettingScope::Saga(saga) => write!(f, "saga {saga}"),
            SettingScope::Step { saga, step } => write!(f, "saga {saga}, step {step}"),
            SettingScope::Undo { saga, step } => write!(f, "saga {saga}, undo of step {step}"),
        }
    }
}

/// A setting by the name of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SettingKey {
    /// Of an attempt, where a participant says it.
    Timeout,
    /// Of an attempt, where a step says it.
    AttemptTimeout,
    /// How often and when a command is tried again.
    Retry,
    /// Calls under way at once.
    Bulkhead,
    /// Calls in a time span.
    RateLimit,
    /// When calls are refused because too many fail.
    Breaker,
}

impl SettingKey {
    /// The key in its file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SettingKey::Timeout => "timeout",
            SettingKey::AttemptTimeout => "attemptTimeout",
            SettingKey::Retry => "retry",
            SettingKey::Bulkhead => "bulkhead",
            SettingKey::RateLimit => "rateLimit",
            SettingKey::Breaker => "breaker",
        }
    }
}

/// A value of a setting; its text is the YAML that a file has of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SettingValue {
    Span(Duration),
    Retry(RetryPolicy),
    Bulkhead(BulkheadConfig),
    /// `None`: there is no limit.
    Rate(Option<CallRate>),
    Breaker(BreakerParameters),
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            SettingValue::Span(span) => span_text(*span),
            SettingValue::Retry(policy) => flow(&retry_entries(policy)),
            SettingValue::Bulkhead(config) => bulkhead_text(config),
            SettingValue::Rate(None) => "no limit".to_owned(),
            SettingValue::Rate(Some(rate)) => rate_text(rate),
            SettingValue::Breaker(settings) => flow(&breaker_entries(settings)),
        })
    }
}

/// A span as definitions write it: one whole number with one unit.
pub(super) fn span_text(span: Duration) -> String {
    let millis = span.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let unit = units.iter().find(|(_, size)| millis > 0 && millis.is_multiple_of(*size));
    unit.map_or_else(|| format!("{millis}ms"), |(name, size)| format!("{}{name}", millis / size))
}

/// A span in a sentence: one figure after the point is enough.
pub(super) fn spoken(span: Duration) -> String {
    match span.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{} ms", span.as_millis()),
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds if seconds < 7_200.0 => format!("{:.1} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// The next longer span that people write, at most a fifth longer: 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 and their tens.
pub(super) fn rounded_up(span: Duration) -> Duration {
    let millis = span.as_secs_f64().max(0.001) * 1_000.0;
    let ten = 10f64.powf(millis.log10().floor());
    let steps = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let step = steps.into_iter().find(|step| step * ten >= millis - 1e-6).unwrap_or(10.0);
    Duration::from_millis((step * ten).ceil() as u64)
}

type FlowEntry = (&'static str, String);

fn flow(entries: &[FlowEntry]) -> String {
    let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{{{}}}", entries.join(", "))
}

/// Whatever the present policy has is said again, because what is pasted replaces all of it.
fn retry_entries(policy: &RetryPolicy) -> Vec<FlowEntry> {
    let attempts = match policy.attempts {
        AttemptLimit::Forever => "forever".to_owned(),
        AttemptLimit::Limited(most) => most.to_string(),
    };
    let mut entries =
        vec![("attempts", attempts), ("delay", span_text(policy.delay)), ("maxDelay", span_text(policy.max_delay))];
    let backoff = match policy.backoff {
        BackoffStrategy::Constant => Some("constant"),
        BackoffStrategy::Linear => Some("linear"),
        BackoffStrategy::Exponential => None,
    };
    let jitter = match policy.jitter {
        JitterStrategy::None => Some("none"),
        JitterStrategy::Equal => None,
        JitterStrategy::Full => Some("full"),
        JitterStrategy::Decorrelated => Some("decorrelated"),
    };
    entries.extend(backoff.map(|it| ("backoff", it.to_owned())));
    entries.extend(jitter.map(|it| ("jitter", it.to_owned())));
    let factor = f64::from(policy.factor_percent) / 100.0;
    entries.extend((policy.factor_percent != 200).then(|| ("multiplier", factor.to_string())));
    entries
}

fn bulkhead_text(config: &BulkheadConfig) -> String {
    let usual = BulkheadConfig::of(config.limit);
    let mut entries = vec![("limit", config.limit.to_string())];
    if config.max_wait.is_zero() {
        // Over Kafka nothing waits in memory, and no file says so.
        return config.limit.to_string();
    }
    entries.extend(config.max_waiting.map(|most| ("maxWaiting", most.to_string())));
    entries.extend((config.max_wait != usual.max_wait).then(|| ("maxWait", span_text(config.max_wait))));
    if entries.len() == 1 { config.limit.to_string() } else { flow(&entries) }
}

fn rate_text(rate: &CallRate) -> String {
    let unit = [("s", 1), ("m", 60), ("h", 3_600)].into_iter().find(|(_, size)| rate.per.as_millis() == size * 1_000);
    let usual_burst = (f64::from(rate.calls.get()) / rate.per.as_secs_f64()).ceil() as u32;
    match unit {
        Some((name, _)) if rate.burst.get() == usual_burst => format!("{}/{name}", rate.calls),
        Some(_) | None => {
            let entries = [rate.calls.to_string(), span_text(rate.per), rate.burst.to_string()];
            flow(&["calls", "per", "burst"].into_iter().zip(entries).collect::<Vec<_>>())
        }
    }
}

/// What differs from a breaker of which a file says nothing.
fn breaker_entries(it: &BreakerParameters) -> Vec<FlowEntry> {
    let usual = BreakerParameters::default();
    let window = match it.window {
        WindowConfig::Time(span) => span_text(span),
        WindowConfig::Calls(calls) => calls.to_string(),
    };
    let said = [
        (it.failure_rate != usual.failure_rate).then(|| ("failureRate", it.failure_rate.to_string())),
        it.slow_call.map(|span| ("slowCall", span_text(span))),
        (it.slow_call_rate != usual.slow_call_rate).then(|| ("slowCallRate", it.slow_call_rate.to_string())),
        it.consecutive_failures.map(|most| ("consecutiveFailures", most.to_string())),
        (it.minimum_calls != usual.minimum_calls).then(|| ("minimumCalls", it.minimum_calls.to_string())),
        (it.window != usual.window).then_some(("window", window)),
        (it.open_for != usual.open_for).then(|| ("openFor", span_text(it.open_for))),
        (it.max_open_for != usual.max_open_for).then(|| ("maxOpenFor", span_text(it.max_open_for))),
        (it.probes != usual.probes).then(|| ("probes", it.probes.to_string())),
        it.successes.map(|least| ("successes", least.to_string())),
        (it.probe_timeout != usual.probe_timeout).then(|| ("probeTimeout", span_text(it.probe_timeout))),
        (it.ramp != usual.ramp).then(|| ("ramp", ramp_text(it.ramp))),
        it.shed_above.map(|factor| ("shedAbove", factor.to_string())),
    ];
    said.into_iter().flatten().collect()
}

fn ramp_text(ramp: Duration) -> String {
    if ramp.is_zero() { "false".to_owned() } else { span_text(ramp) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_rounded_to_what_people_write() {
        let rounded = |ms| span_text(rounded_up(Duration::from_millis(ms)));
        let expected = ["1ms", "120ms", "1s", "1500ms", "4s", "80s", "100s"];
        assert_eq!([0, 101, 1_000, 1_300, 3_100, 61_000, 99_000].map(rounded), expected);
    }
}
