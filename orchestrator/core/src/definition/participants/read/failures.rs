//! What kinds of failures a participant has, and what becomes of them.

use super::{FailurePattern, Handling, Reader, Status, Transport};
use crate::definition::{
    diagnostic::Code,
    fields::{self, Fields, first_line, wrong},
    keys::{CLASSES, ERRORS, HANDLE, HANDLINGS},
    tree::{Key, Node, Yaml},
};
use saga_guards::class::ErrorClass;
use std::collections::BTreeMap;

/// Most entries of `classify`: every failure is compared with all of them.
const MAX_PATTERNS: usize = 200;

/// `errors:`
#[derive(Default)]
pub(super) struct Errors {
    pub(super) classes: Vec<(FailurePattern, ErrorClass)>,
    pub(super) handling: BTreeMap<ErrorClass, Handling>,
}

impl Reader<'_> {
    pub(super) fn errors(&mut self, fields: &Fields<'_>, transport: Option<&Transport>) -> Errors {
        let fields = fields.node("errors").and_then(|node| Fields::read(node, &ERRORS, &mut self.report));
        let Some(fields) = fields else { return Errors::default() };
        Errors { classes: self.classes(&fields, transport), handling: self.handling(&fields) }
    }

    fn classes(&mut self, fields: &Fields<'_>, transport: Option<&Transport>) -> Vec<(FailurePattern, ErrorClass)> {
        let Some(node) = fields.node("classify") else { return Vec::new() };
        let Yaml::Map(entries) = &node.value else {
            let help = "write classify: {418: rate_limit, OUT_OF_STOCK: validation}";
            wrong(&mut self.report, node, "`classify` is a map of statuses and codes").help(help);
            return Vec::new();
        };
        if let Some((key, _)) = entries.get(MAX_PATTERNS) {
            let message = format!("{} patterns; at most {MAX_PATTERNS} are possible", entries.len());
            self.report.error(Code::TooLarge, key.span, message).help("use classes of statuses: 4xx, 5xx");
        }
        entries.iter().filter_map(|(key, node)| self.class(key, node, transport)).collect()
    }

    fn class(&mut self, key: &Key, node: &Node, transport: Option<&Transport>) -> Option<(FailurePattern, ErrorClass)> {
        let name = fields::choice(node, &key.text, CLASSES, &mut self.report);
        let pattern = self.pattern(key, transport)?;
        Some((pattern, ErrorClass::ALL.into_iter().find(|class| Some(class.as_str()) == name)?))
    }

    /// Over HTTP a number is a status; over Kafka it is an `error_code` like any other.
    fn pattern(&mut self, key: &Key, transport: Option<&Transport>) -> Option<FailurePattern> {
        let by_http = !matches!(transport, Some(Transport::Kafka { .. }));
        if let Some(status) = status_of(&key.text).filter(|_| by_http) {
            return Some(FailurePattern::Status(status));
        }
        let is_number = key.text.bytes().all(|byte| byte.is_ascii_digit());
        if key.text.is_empty() || key.text.contains(char::is_control) || (by_http && is_number) {
            let message = format!("`{}` is neither a status that can be moved nor an error code", key.text);
            let help = "write 409, a class such as 5xx, or a code such as OUT_OF_STOCK";
            self.report.error(Code::WrongValue, key.span, message).help(help);
            return None;
        }
        Some(FailurePattern::Code(key.text.clone()))
    }

    fn handling(&mut self, fields: &Fields<'_>) -> BTreeMap<ErrorClass, Handling> {
        let fields = fields.node("handle").and_then(|node| Fields::read(node, &HANDLE, &mut self.report));
        let Some(fields) = fields else { return BTreeMap::new() };
        let mut handling = BTreeMap::new();
        for class in ErrorClass::ALL {
            let choice = fields.choice(class.as_str(), HANDLINGS, &mut self.report);
            handling.extend(choice.map(|choice| (class, handling_of(choice))));
        }
        handling
    }

    pub(super) fn statuses(&mut self, fields: &Fields<'_>, key: &str) -> Vec<Status> {
        let Some(node) = fields.node(key) else { return Vec::new() };
        match &node.value {
            Yaml::List(items) => items.iter().filter_map(|item| self.status(item)).collect(),
            Yaml::Null
            | Yaml::Bool(_)
            | Yaml::Int(_)
            | Yaml::Uint(_)
            | Yaml::Float(_)
            | Yaml::Text(_)
            | Yaml::Map(_) => self.status(node).into_iter().collect(),
        }
    }

    fn status(&mut self, node: &Node) -> Option<Status> {
        let status = match &node.value {
            Yaml::Int(number) => status_of(&number.to_string()).filter(|status| matches!(status, Status::Exactly(_))),
            Yaml::Text(text) => status_of(text).filter(|status| matches!(status, Status::Class(_))),
            Yaml::Null | Yaml::Bool(_) | Yaml::Uint(_) | Yaml::Float(_) | Yaml::List(_) | Yaml::Map(_) => None,
        };
        if status.is_none() {
            let span = first_line(&self.report, node.span);
            self.report
                .error(Code::WrongValue, span, "not a status that can be moved")
                .help("write 409, or a class: 4xx, 5xx");
        }
        status
    }
}

/// `409` or `4xx`; what succeeded cannot be moved.
fn status_of(text: &str) -> Option<Status> {
    match text {
        "3xx" => Some(Status::Class(3)),
        "4xx" => Some(Status::Class(4)),
        "5xx" => Some(Status::Class(5)),
        _ => text.parse().ok().filter(|status| (300..600).contains(status)).map(Status::Exactly),
    }
}

fn handling_of(choice: &str) -> Handling {
    match choice {
        "fail" => Handling::Fail,
        "retry-then-park" => Handling::RetryThenPark,
        _ => Handling::Retry,
    }
}
