//! How a participant is reached.

use super::{EndpointConfig, ParticipantReader, TransportConfig};
use crate::definition::{
    diagnostic::{Code, TextSpan},
    fields::{MapReader, first_line, wrong},
    keys::{EJECTION, ENDPOINT, HTTP, KAFKA, STRATEGIES},
    tree::{YamlNode, YamlValue},
};
use saga_guards::balancer::{BalancingStrategy, EjectionConfig};
use std::num::NonZeroU32;

impl ParticipantReader<'_> {
    pub(super) fn transport(&mut self, name: TextSpan, fields: &MapReader<'_>) -> Option<TransportConfig> {
        match (fields.node("kafka"), fields.node("http")) {
            (Some(node), None) => self.kafka(node),
            (None, Some(node)) => self.http(node),
            (None, None) => {
                let help = "write kafka: {commands: topic}, or http: {url: …}";
                self.report.error(Code::MissingKey, name, "a participant needs `kafka` or `http`").help(help);
                None
            }
            (Some(_), Some(http)) => {
                let span = fields.key_span("http").unwrap_or(http.span);
                let help = "write two participants";
                self.report.error(Code::ConflictingKeys, span, "a participant has either `kafka` or `http`").help(help);
                None
            }
        }
    }

    fn kafka(&mut self, node: &YamlNode) -> Option<TransportConfig> {
        let fields = MapReader::read(node, &KAFKA, &mut self.report)?;
        let commands = fields.name("commands", &mut self.report)?;
        Some(TransportConfig::Kafka { commands: self.topic(&commands)? })
    }

    fn http(&mut self, node: &YamlNode) -> Option<TransportConfig> {
        let fields = MapReader::read(node, &HTTP, &mut self.report)?;
        let (balance, ejection) = (self.balance(&fields), self.ejection(&fields));
        let endpoints = match (fields.text("url", &mut self.report), fields.node("endpoints")) {
            (Some(url), None) => {
                self.base_url(&url).map(|url| vec![EndpointConfig { url, weight: NonZeroU32::MIN }])?
            }
            (None, Some(node)) => self.endpoints(node)?,
            (None, None) => {
                let help = "write http: {url: http://…}";
                self.report
                    .error(Code::MissingKey, fields.span, "an HTTP participant needs `url` or `endpoints`")
                    .help(help);
                return None;
            }
            (Some(_), Some(node)) => {
                let span = first_line(&self.report, node.span);
                self.report
                    .error(Code::ConflictingKeys, span, "an HTTP participant has either `url` or `endpoints`")
                    .help("keep one of them");
                return None;
            }
        };
        Some(TransportConfig::Http { endpoints, balance, ejection })
    }

    fn endpoints(&mut self, node: &YamlNode) -> Option<Vec<EndpointConfig>> {
        let YamlValue::List(items) = &node.value else {
            wrong(&mut self.report, node, "`endpoints` is a list").help("write endpoints: [{url: http://…}]");
            return None;
        };
        if items.is_empty() {
            self.report.error(Code::WrongValue, node.span, "`endpoints` is empty").help("write [{url: http://…}]");
        }
        Some(items.iter().filter_map(|item| self.endpoint(item)).collect())
    }

    fn endpoint(&mut self, node: &YamlNode) -> Option<EndpointConfig> {
        let fields = MapReader::read(node, &ENDPOINT, &mut self.report)?;
        let weight = fields.integer("weight", 1, &mut self.report).and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let url = fields.name("url", &mut self.report)?;
        Some(EndpointConfig { url: self.base_url(&url)?, weight })
    }

    /// `weighted` is a word for what `round-robin` does anyway: every strategy honours weights.
    fn balance(&mut self, fields: &MapReader<'_>) -> BalancingStrategy {
        match fields.choice("balance", STRATEGIES, &mut self.report) {
            Some("least-connections") => BalancingStrategy::LeastConnections,
            Some("random") => BalancingStrategy::Random,
            Some(_) | None => BalancingStrategy::RoundRobin,
        }
    }

    fn ejection(&mut self, fields: &MapReader<'_>) -> Option<EjectionConfig> {
        let usual = EjectionConfig::default();
        match fields.node("ejection") {
            Some(YamlNode { value: YamlValue::Bool(false), .. }) => None,
            None | Some(YamlNode { value: YamlValue::Bool(true), .. }) => Some(usual),
            Some(node) => Some(self.ejection_of(node, usual)),
        }
    }

    fn ejection_of(&mut self, node: &YamlNode, usual: EjectionConfig) -> EjectionConfig {
        let Some(fields) = MapReader::read(node, &EJECTION, &mut self.report) else { return usual };
        let report = &mut self.report;
        let failures = fields.integer("consecutiveFailures", 1, report).and_then(NonZeroU32::new);
        let eject_for = fields.duration("ejectFor", report).unwrap_or(usual.eject_for);
        let max_eject_for = fields.duration("maxEjectFor", report).unwrap_or(usual.max_eject_for.max(eject_for));
        if let Some(node) = fields.node("maxEjectFor").filter(|_| max_eject_for < eject_for) {
            let message = "`maxEjectFor` is shorter than `ejectFor`";
            report.error(Code::WrongValue, node.span, message).help("make it at least as long");
        }
        let consecutive_failures = failures.unwrap_or(usual.consecutive_failures);
        EjectionConfig { consecutive_failures, eject_for, max_eject_for }
    }
}
