//! What kinds of failures a participant has, and what becomes of them.

use super::{FailureHandling, FailurePattern, ParticipantReader, StatusPattern, TransportConfig};
use crate::definition::{
    diagnostic::Code,
    fields::{self, MapReader, first_line, wrong},
    keys::{CLASSES, ERRORS, HANDLE, HANDLINGS},
    tree::{YamlKey, YamlNode, YamlValue},
};
use saga_guards::class::ErrorClass;
use std::collections::BTreeMap;

/// Most entries of `classify`: every failure is compared with all of them.
const MAX_PATTERNS: usize = 200;

/// The rules under `errors:`: the classes of failures, and how the engine handles them.
#[derive(Default)]
pub(super) struct FailureRules {
    pub(super) classes: Vec<(FailurePattern, ErrorClass)>,
    pub(super) handling: BTreeMap<ErrorClass, FailureHandling>,
}

impl ParticipantReader<'_> {
    pub(super) fn errors(&mut self, fields: &MapReader<'_>, transport: Option<&TransportConfig>) -> FailureRules {
        let fields = fields.node("errors").and_then(|node| MapReader::read(node, &ERRORS, &mut self.report));
        let Some(fields) = fields else { return FailureRules::default() };
        FailureRules { classes: self.classes(&fields, transport), handling: self.handling(&fields) }
    }

    fn classes(
        &mut self,
        fields: &MapReader<'_>,
        transport: Option<&TransportConfig>,
    ) -> Vec<(FailurePattern, ErrorClass)> {
        let Some(node) = fields.node("classify") else { return Vec::new() };
        let YamlValue::Map(entries) = &node.value else {
            let help = "write classify: {418: rate_limit, OUT_OF_STOCK: validation}";
            wrong(&mut self.report, node, "`classify` must be a map of statuses and codes").help(help);
            return Vec::new();
        };
        if let Some((key, _)) = entries.get(MAX_PATTERNS) {
            let message = format!("{} patterns; at most {MAX_PATTERNS} are possible", entries.len());
            self.report.error(Code::TooLarge, key.span, message).help("use classes of statuses: 4xx, 5xx");
        }
        entries.iter().filter_map(|(key, node)| self.class(key, node, transport)).collect()
    }

    fn class(
        &mut self,
        key: &YamlKey,
        node: &YamlNode,
        transport: Option<&TransportConfig>,
    ) -> Option<(FailurePattern, ErrorClass)> {
        let name = fields::choice(node, &key.text, CLASSES, &mut self.report);
        let pattern = self.pattern(key, transport)?;
        Some((pattern, ErrorClass::ALL.into_iter().find(|class| Some(class.as_str()) == name)?))
    }

    /// Over HTTP a number is a status; over Kafka it is an `error_code` like any other.
    fn pattern(&mut self, key: &YamlKey, transport: Option<&TransportConfig>) -> Option<FailurePattern> {
        let by_http = !matches!(transport, Some(TransportConfig::Kafka { .. }));
        if let Some(status) = status_of(&key.text).filter(|_| by_http) {
            return Some(FailurePattern::Status(status));
        }
        let is_number = key.text.bytes().all(|byte| byte.is_ascii_digit());
        if key.text.is_empty() || key.text.contains(char::is_control) || (by_http && is_number) {
            let message = format!("`{}` is neither a status that can be classified nor an error code", key.text);
            let help = "write 409, a class such as 5xx, or a code such as OUT_OF_STOCK";
            self.report.error(Code::WrongValue, key.span, message).help(help);
            return None;
        }
        Some(FailurePattern::Code(key.text.clone()))
    }

    fn handling(&mut self, fields: &MapReader<'_>) -> BTreeMap<ErrorClass, FailureHandling> {
        let fields = fields.node("handle").and_then(|node| MapReader::read(node, &HANDLE, &mut self.report));
        let Some(fields) = fields else { return BTreeMap::new() };
        let mut handling = BTreeMap::new();
        for class in ErrorClass::ALL {
            let choice = fields.choice(class.as_str(), HANDLINGS, &mut self.report);
            handling.extend(choice.map(|choice| (class, handling_of(choice))));
        }
        handling
    }

    pub(super) fn statuses(&mut self, fields: &MapReader<'_>, key: &str) -> Vec<StatusPattern> {
        let Some(node) = fields.node(key) else { return Vec::new() };
        match &node.value {
            YamlValue::List(items) => items.iter().filter_map(|item| self.status(item)).collect(),
            YamlValue::Null
            | YamlValue::Bool(_)
            | YamlValue::Int(_)
            | YamlValue::Uint(_)
            | YamlValue::Float(_)
            | YamlValue::Text(_)
            | YamlValue::Map(_) => self.status(node).into_iter().collect(),
        }
    }

    fn status(&mut self, node: &YamlNode) -> Option<StatusPattern> {
        let status = match &node.value {
            YamlValue::Int(number) => {
                status_of(&number.to_string()).filter(|status| matches!(status, StatusPattern::Exactly(_)))
            }
            YamlValue::Text(text) => status_of(text).filter(|status| matches!(status, StatusPattern::Class(_))),
            YamlValue::Null
            | YamlValue::Bool(_)
            | YamlValue::Uint(_)
            | YamlValue::Float(_)
            | YamlValue::List(_)
            | YamlValue::Map(_) => None,
        };
        if status.is_none() {
            let span = first_line(&self.report, node.span);
            self.report
                .error(Code::WrongValue, span, "not a status that can be classified")
                .help("write 409, or a class: 4xx, 5xx");
        }
        status
    }
}

/// `409` or `4xx`; what succeeded cannot be moved.
fn status_of(text: &str) -> Option<StatusPattern> {
    match text {
        "3xx" => Some(StatusPattern::Class(3)),
        "4xx" => Some(StatusPattern::Class(4)),
        "5xx" => Some(StatusPattern::Class(5)),
        _ => text.parse().ok().filter(|status| (300..600).contains(status)).map(StatusPattern::Exactly),
    }
}

fn handling_of(choice: &str) -> FailureHandling {
    match choice {
        "fail" => FailureHandling::Fail,
        "retry-then-park" => FailureHandling::RetryThenPark,
        _ => FailureHandling::Retry,
    }
}
