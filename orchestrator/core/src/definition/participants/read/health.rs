//! How a participant is asked how it is.

use super::{HealthCheckConfig, HealthCheckMethod, ParticipantReader, TransportConfig, address};
use crate::definition::{
    diagnostic::Code,
    fields::{MapReader, wrong},
    keys::HEALTH,
    tree::{YamlNode, YamlValue},
};
use saga_guards::health;
use std::num::NonZeroU32;

const HELP: &str = "write health: {path: health}, {url: http://…} or {connect: true}";

impl ParticipantReader<'_> {
    /// Reads `health:`. Without this key the engine makes no checks, also where the kind has an interval for them: a
    /// kind
    /// does not know the address.
    pub(super) fn health(
        &mut self,
        fields: &MapReader<'_>,
        transport: Option<&TransportConfig>,
        usual: health::HealthTrackerConfig,
    ) -> Option<HealthCheckConfig> {
        let node = fields.node("health")?;
        let fields = MapReader::read(node, &HEALTH, &mut self.report)?;
        let config = self.health_config(&fields, usual);
        let check = self.health_check(&fields, transport)?;
        Some(HealthCheckConfig { check, config })
    }

    fn health_check(
        &mut self,
        fields: &MapReader<'_>,
        transport: Option<&TransportConfig>,
    ) -> Option<HealthCheckMethod> {
        let said: Vec<&str> = ["path", "url", "connect"].into_iter().filter(|key| fields.node(key).is_some()).collect();
        let [key] = said[..] else {
            let (code, span) = match said.get(1) {
                Some(second) => (Code::ConflictingKeys, fields.key_span(second).unwrap_or(fields.span)),
                None => (Code::MissingKey, fields.span),
            };
            self.report.error(code, span, "a health check has one of `path`, `url` and `connect`").help(HELP);
            return None;
        };
        if key != "url" && matches!(transport, Some(TransportConfig::Kafka { .. })) {
            let message = format!("`{key}` checks endpoints, but a participant over Kafka has none");
            let span = fields.key_span(key).unwrap_or(fields.span);
            self.report.error(Code::ConflictingKeys, span, message).help("write url: http://…");
            return None;
        }
        match key {
            "path" => self.health_path(fields),
            "url" => {
                fields.name("url", &mut self.report).and_then(|text| self.page_url(&text)).map(HealthCheckMethod::Url)
            }
            _ => self.health_connect(fields.node("connect")?),
        }
    }

    /// Below the base URL like every path, so a slash at its beginning says nothing.
    fn health_path(&mut self, fields: &MapReader<'_>) -> Option<HealthCheckMethod> {
        let text = fields.name("path", &mut self.report)?;
        let path = text.value.trim_start_matches('/');
        let leaves = path.split(['/', '?']).any(address::is_dots);
        if leaves
            || path.contains(|sign: char| sign.is_whitespace() || sign.is_control() || sign == '#')
            || path.contains("://")
        {
            let message = format!("`{}` is not a path below the URL of the participant", text.value);
            self.report.error(Code::WrongValue, text.span, message).help("write health, or status/ready");
            return None;
        }
        Some(HealthCheckMethod::Path(path.to_owned()))
    }

    fn health_connect(&mut self, node: &YamlNode) -> Option<HealthCheckMethod> {
        if node.value == YamlValue::Bool(true) {
            return Some(HealthCheckMethod::Connect);
        }
        wrong(&mut self.report, node, "`connect` must be true").help("write true, or remove `health`");
        None
    }

    fn health_config(
        &mut self,
        fields: &MapReader<'_>,
        usual: health::HealthTrackerConfig,
    ) -> health::HealthTrackerConfig {
        let report = &mut self.report;
        let interval = fields.duration("interval", report).unwrap_or(usual.interval);
        let timeout = fields.duration("timeout", report).unwrap_or(usual.timeout.min(interval));
        if let Some(node) = fields.node("timeout").filter(|_| timeout > interval) {
            let message = "`timeout` is longer than `interval`: the next check would begin before the last one ends";
            report.error(Code::WrongValue, node.span, message).help("make it at most as long");
        }
        let mut count = |key| fields.integer(key, 1, report).and_then(NonZeroU32::new);
        let (unhealthy, healthy) = (count("unhealthyAfter"), count("healthyAfter"));
        health::HealthTrackerConfig {
            interval,
            timeout,
            unhealthy_after: unhealthy.unwrap_or(usual.unhealthy_after),
            healthy_after: healthy.unwrap_or(usual.healthy_after),
        }
    }
}
