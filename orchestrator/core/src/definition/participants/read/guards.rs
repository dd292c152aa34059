//! Breaker, retry budget and degraded mode.

use super::{DegradationConfig, ParticipantReader};
use crate::definition::{
    diagnostic::{Code, FindingCollector},
    fields::{MapReader, first_line, lead, plain_number, wrong},
    keys::{BREAKER, DEGRADED, RETRY_BUDGET},
    tree::{YamlNode, YamlValue},
};
use saga_guards::{breaker, budget};
use std::{num::NonZeroU32, time::Duration};

impl ParticipantReader<'_> {
    pub(super) fn breaker(
        &mut self,
        fields: &MapReader<'_>,
        usual: breaker::BreakerParameters,
    ) -> breaker::BreakerConfig {
        let fields = fields.node("breaker").and_then(|node| MapReader::read(node, &BREAKER, &mut self.report));
        let settings = fields.as_ref().map_or(usual, |fields| settings(fields, &usual, &mut self.report));
        breaker::BreakerConfig::new(settings).unwrap_or_else(|error| {
            if let Some(fields) = &fields {
                refuse(fields, &error, &mut self.report);
            }
            breaker::BreakerConfig::default()
        })
    }

    pub(super) fn retry_budget(&mut self, fields: &MapReader<'_>) -> budget::RetryBudgetConfig {
        let usual = budget::RetryBudgetConfig::default();
        let fields = fields.node("retryBudget").and_then(|node| MapReader::read(node, &RETRY_BUDGET, &mut self.report));
        let Some(fields) = fields else { return usual };
        budget::RetryBudgetConfig {
            share: share(&fields, "share", &mut self.report).unwrap_or(usual.share),
            reserve_per_second: fields
                .integer("reservePerSecond", 0, &mut self.report)
                .unwrap_or(usual.reserve_per_second),
        }
    }

    pub(super) fn degraded(&mut self, fields: &MapReader<'_>) -> DegradationConfig {
        let usual = DegradationConfig::default();
        let fields = fields.node("degraded").and_then(|node| MapReader::read(node, &DEGRADED, &mut self.report));
        let Some(fields) = fields else { return usual };
        DegradationConfig {
            share: share(&fields, "share", &mut self.report).unwrap_or(usual.share),
            after_trip: fields.duration("afterTrip", &mut self.report).or(usual.after_trip),
        }
    }
}

fn settings(
    fields: &MapReader<'_>,
    usual: &breaker::BreakerParameters,
    report: &mut FindingCollector,
) -> breaker::BreakerParameters {
    let window = window(fields, report).unwrap_or(usual.window);
    let open_for = fields.duration("openFor", report).unwrap_or(usual.open_for);
    breaker::BreakerParameters {
        window,
        minimum_calls: fields
            .integer("minimumCalls", 1, report)
            .unwrap_or_else(|| minimum_in(window, usual.minimum_calls)),
        failure_rate: share(fields, "failureRate", report).unwrap_or(usual.failure_rate),
        slow_call: fields.duration("slowCall", report).or(usual.slow_call),
        slow_call_rate: share(fields, "slowCallRate", report).unwrap_or(usual.slow_call_rate),
        consecutive_failures: fields
            .integer("consecutiveFailures", 1, report)
            .and_then(NonZeroU32::new)
            .or(usual.consecutive_failures),
        open_for,
        // A file that sets only `openFor` means that `maxOpenFor` may be as long.
        max_open_for: fields.duration("maxOpenFor", report).unwrap_or_else(|| usual.max_open_for.max(open_for)),
        probes: fields.integer("probes", 1, report).unwrap_or(usual.probes),
        successes: fields.integer("successes", 1, report).or(usual.successes),
        probe_timeout: fields.duration("probeTimeout", report).unwrap_or(usual.probe_timeout),
        ramp: ramp(fields, report).unwrap_or(usual.ramp),
        shed_above: factor(fields, "shedAbove", report).or(usual.shed_above),
    }
}

/// A window of fewer calls than are usually needed needs no more than it holds.
fn minimum_in(window: breaker::WindowConfig, usual: u32) -> u32 {
    match window {
        breaker::WindowConfig::Time(_) => usual,
        breaker::WindowConfig::Calls(calls) => usual.min(calls),
    }
}

fn window(fields: &MapReader<'_>, report: &mut FindingCollector) -> Option<breaker::WindowConfig> {
    match fields.node("window")?.value {
        YamlValue::Int(_) | YamlValue::Uint(_) => fields.integer("window", 1, report).map(breaker::WindowConfig::Calls),
        YamlValue::Null
        | YamlValue::Bool(_)
        | YamlValue::Float(_)
        | YamlValue::Text(_)
        | YamlValue::List(_)
        | YamlValue::Map(_) => fields.duration("window", report).map(breaker::WindowConfig::Time),
    }
}

fn ramp(fields: &MapReader<'_>, report: &mut FindingCollector) -> Option<Duration> {
    match fields.node("ramp")?.value {
        YamlValue::Bool(false) => Some(Duration::ZERO),
        YamlValue::Null
        | YamlValue::Bool(true)
        | YamlValue::Int(_)
        | YamlValue::Uint(_)
        | YamlValue::Float(_)
        | YamlValue::Text(_)
        | YamlValue::List(_)
        | YamlValue::Map(_) => fields.duration("ramp", report),
    }
}

/// The error begins with the key that it is about.
fn refuse(fields: &MapReader<'_>, error: &breaker::BreakerConfigError, report: &mut FindingCollector) {
    let message = error.to_string();
    let key = message.split(' ').next().unwrap_or_default();
    let node = BREAKER.has(key).then(|| fields.node(key)).flatten();
    let span = first_line(report, node.map_or(fields.span, lead));
    report.error(Code::WrongValue, span, message).help("change that number");
}

/// A share of more than 0 and at most 1.
pub(super) fn share(fields: &MapReader<'_>, key: &str, report: &mut FindingCollector) -> Option<f64> {
    let node = fields.node(key)?;
    let share = number(node, report)?.filter(|share| *share > 0.0 && *share <= 1.0);
    if share.is_none() {
        wrong(report, node, &format!("`{key}` must be a share, more than 0 and at most 1"))
            .help("half of all calls is 0.5");
    }
    share
}

/// A factor; the breaker says which of them it can work with.
fn factor(fields: &MapReader<'_>, key: &str, report: &mut FindingCollector) -> Option<f64> {
    let node = fields.node(key)?;
    let factor = number(node, report)?;
    if factor.is_none() {
        wrong(report, node, &format!("`{key}` must be a number of at least 1.1")).help("write 2, or remove it");
    }
    factor
}

/// `None` if it is written as no number should be, which is reported; `Some(None)` if it is none.
fn number(node: &YamlNode, report: &mut FindingCollector) -> Option<Option<f64>> {
    plain_number(node, report)?;
    Some(match node.value {
        YamlValue::Float(number) => Some(number),
        YamlValue::Int(number) => u32::try_from(number).ok().map(f64::from),
        YamlValue::Null
        | YamlValue::Bool(_)
        | YamlValue::Uint(_)
        | YamlValue::Text(_)
        | YamlValue::List(_)
        | YamlValue::Map(_) => None,
    })
}
