//! Bulkhead and rate limit: how many calls there are at once, and in a span.

use super::{BULKHEAD_WAIT, BulkheadConfig, ParticipantReader, TransportConfig};
use crate::definition::{
    diagnostic::Code,
    fields::{MapReader, first_line, lead, wrong},
    keys::{ADAPTIVE, BULKHEAD, RATE_LIMIT},
    tree::{YamlNode, YamlValue},
};
use saga_guards::{adaptive, rate::CallRate};
use std::{num::NonZeroU32, time::Duration};

/// Most calls a second: with more the limit is none, and the limiter counts in nanoseconds between two calls.
const MAX_CALLS_PER_SECOND: u64 = 1_000_000;
/// With `adaptive: true` the limit falls to this part of itself at most, so that there are answers to go by when it is
/// well again.
const ADAPTIVE_PART: u32 = 16;
/// What is said of waiting in memory.
const WAITING: [&str; 2] = ["maxWaiting", "maxWait"];

impl ParticipantReader<'_> {
    /// `bulkhead: 64`, or a map. A command over Kafka does not wait in memory: its reply is awaited from the moment it
    /// is decided on.
    pub(super) fn bulkhead(
        &mut self,
        fields: &MapReader<'_>,
        usual: NonZeroU32,
        transport: Option<&TransportConfig>,
    ) -> BulkheadConfig {
        let bulkhead = self.bulkhead_of_http(fields, usual);
        let Some(TransportConfig::Kafka { .. }) = transport else { return bulkhead };
        self.refuse_waiting_over_kafka(fields);
        BulkheadConfig { max_waiting: Some(0), max_wait: Duration::ZERO, ..bulkhead }
    }

    fn refuse_waiting_over_kafka(&mut self, fields: &MapReader<'_>) {
        let Some(YamlValue::Map(entries)) = fields.node("bulkhead").map(|node| &node.value) else { return };
        for (key, _) in entries.iter().filter(|(key, _)| WAITING.contains(&key.text.as_str())) {
            let message = format!("`{}` is only for HTTP, but this participant is called over Kafka", key.text);
            let help = "remove it: a call that finds no place is recorded as waiting at once";
            self.report.error(Code::ConflictingKeys, key.span, message).help(help);
        }
    }

    fn bulkhead_of_http(&mut self, fields: &MapReader<'_>, usual: NonZeroU32) -> BulkheadConfig {
        let Some(node) = fields.node("bulkhead") else { return BulkheadConfig::of(usual) };
        match &node.value {
            YamlValue::Map(_) => self.bulkhead_map(node, usual),
            YamlValue::Null
            | YamlValue::Bool(_)
            | YamlValue::Int(_)
            | YamlValue::Uint(_)
            | YamlValue::Float(_)
            | YamlValue::Text(_)
            | YamlValue::List(_) => {
                let limit = fields.integer("bulkhead", 1, &mut self.report).and_then(NonZeroU32::new);
                BulkheadConfig::of(limit.unwrap_or(usual))
            }
        }
    }

    fn bulkhead_map(&mut self, node: &YamlNode, usual: NonZeroU32) -> BulkheadConfig {
        let Some(fields) = MapReader::read(node, &BULKHEAD, &mut self.report) else { return BulkheadConfig::of(usual) };
        let said = fields.integer("limit", 1, &mut self.report).and_then(NonZeroU32::new);
        let adaptive = fields.node("adaptive").and_then(|node| self.adaptive(node, said, usual));
        let limit = adaptive.map_or(said.unwrap_or(usual), |adaptive| adaptive.max());
        let max_waiting = fields.integer("maxWaiting", 0, &mut self.report);
        BulkheadConfig { limit, max_waiting, max_wait: self.max_wait(&fields), adaptive }
    }

    /// Longer than that a call does not wait in memory: it is recorded as waiting, which outlives this engine.
    fn max_wait(&mut self, fields: &MapReader<'_>) -> Duration {
        let wait = fields.duration("maxWait", &mut self.report).unwrap_or(BULKHEAD_WAIT);
        if let Some(node) = fields.node("maxWait").filter(|_| wait > BULKHEAD_WAIT) {
            let help = "write 1s or less: a call that waits longer is recorded as waiting and is not lost";
            self.report.error(Code::WrongValue, node.span, "`maxWait` is longer than 1s").help(help);
        }
        wait.min(BULKHEAD_WAIT)
    }

    /// `limit` is what never is exceeded, so it is the upper bound, and where the limit begins.
    fn adaptive(
        &mut self,
        node: &YamlNode,
        said: Option<NonZeroU32>,
        usual: NonZeroU32,
    ) -> Option<adaptive::AdaptiveLimitConfig> {
        match node.value {
            YamlValue::Bool(false) => return None,
            YamlValue::Bool(true) => {
                let limit = said.unwrap_or(usual);
                return adaptive::AdaptiveLimitConfig::new(part_of(limit), limit, limit).ok();
            }
            YamlValue::Null
            | YamlValue::Int(_)
            | YamlValue::Uint(_)
            | YamlValue::Float(_)
            | YamlValue::Text(_)
            | YamlValue::List(_) => {
                let help = "write true, or {min: 4, start: 16, max: 64}";
                wrong(&mut self.report, node, "`adaptive` must be true, false or a map").help(help);
                return None;
            }
            YamlValue::Map(_) => {}
        }
        let fields = MapReader::read(node, &ADAPTIVE, &mut self.report)?;
        let mut bound = |key| fields.integer(key, 1, &mut self.report).and_then(NonZeroU32::new);
        let (min, start, max) = (bound("min"), bound("start"), bound("max"));
        if let (Some(limit), Some(max), Some(node)) = (said, max, fields.node("max"))
            && limit != max
        {
            let message = format!("`max` is {max} and `limit` is {limit}: an adaptive limit has one upper bound");
            self.report.error(Code::ConflictingKeys, node.span, message).help("remove one of them");
        }
        let max = max.or(said).unwrap_or(usual);
        let start = start.unwrap_or(max);
        let bounds = adaptive::AdaptiveLimitConfig::new(min.unwrap_or_else(|| part_of(max).min(start)), start, max);
        bounds
            .inspect_err(|error| {
                let span = first_line(&self.report, lead(node));
                self.report.error(Code::WrongValue, span, error.to_string()).help("write the numbers in this order");
            })
            .ok()
    }

    /// `rateLimit: 100/s`, or a map.
    pub(super) fn rate_limit(&mut self, fields: &MapReader<'_>) -> Option<CallRate> {
        let node = fields.node("rateLimit")?;
        let rate = match &node.value {
            YamlValue::Text(text) => rate_of(text).or_else(|| {
                let message = format!("`{text}` is not a rate");
                self.report.error(Code::WrongValue, node.span, message).help(RATE_HELP);
                None
            }),
            YamlValue::Map(_) => self.rate_map(node),
            YamlValue::Null
            | YamlValue::Bool(_)
            | YamlValue::Int(_)
            | YamlValue::Uint(_)
            | YamlValue::Float(_)
            | YamlValue::List(_) => {
                wrong(&mut self.report, node, "`rateLimit` must be a rate").help(RATE_HELP);
                None
            }
        }?;
        if per_second(rate.calls, rate.per) > u128::from(MAX_CALLS_PER_SECOND) {
            let message = format!("more than {MAX_CALLS_PER_SECOND} calls a second");
            let span = first_line(&self.report, lead(node));
            self.report.error(Code::WrongValue, span, message).help("remove `rateLimit`: then there is no limit");
        }
        Some(rate)
    }

    fn rate_map(&mut self, node: &YamlNode) -> Option<CallRate> {
        let fields = MapReader::read(node, &RATE_LIMIT, &mut self.report)?;
        let per = fields.duration("per", &mut self.report).unwrap_or(Duration::from_secs(1));
        let burst = fields.integer("burst", 1, &mut self.report).and_then(NonZeroU32::new);
        let calls = fields.integer("calls", 1, &mut self.report).and_then(NonZeroU32::new)?;
        Some(CallRate { calls, per, burst: burst.unwrap_or_else(|| usual_burst(calls, per)) })
    }
}

const RATE_HELP: &str = "write 100/s, 600/m or 1000/h, or {calls: 100, per: 10s, burst: 20}";

fn part_of(limit: NonZeroU32) -> NonZeroU32 {
    NonZeroU32::new(limit.get() / ADAPTIVE_PART).unwrap_or(NonZeroU32::MIN)
}

/// Reads a rate such as `100/s`, `600/m` or `1000/h`; `None` if `text` is none.
fn rate_of(text: &str) -> Option<CallRate> {
    let (calls, unit) = text.split_once('/')?;
    let per = Duration::from_secs(match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    });
    let calls: NonZeroU32 = calls.trim().parse().ok()?;
    Some(CallRate { calls, per, burst: usual_burst(calls, per) })
}

/// The calls of a second, so that what came within one may leave within one.
fn usual_burst(calls: NonZeroU32, per: Duration) -> NonZeroU32 {
    let calls = u32::try_from(per_second(calls, per)).unwrap_or(u32::MAX);
    NonZeroU32::new(calls).unwrap_or(NonZeroU32::MIN)
}

/// The calls of one second at this rate, rounded up.
fn per_second(calls: NonZeroU32, per: Duration) -> u128 {
    (u128::from(calls.get()) * 1_000_000_000).div_ceil(per.as_nanos().max(1))
}
