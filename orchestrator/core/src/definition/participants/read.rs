//! Reading participants.yaml.

use super::{
    BULKHEAD, Bulkhead, CONNECT_TIMEOUT, Degraded, Endpoint, HTTP_TIMEOUT, KAFKA_BULKHEAD, KAFKA_TIMEOUT,
    MAX_ANSWER_BYTES, Participant, Participants, Secret, Status, Transport,
};
use crate::{
    definition::{
        diagnostic::{Code, Diagnostic, Report, Span},
        fields::{self, Fields, Spanned, first_line, lead, wrong},
        keys::{BREAKER, ENDPOINT, HTTP, KAFKA, PARTICIPANT, PARTICIPANTS},
        policies, target,
        tree::{self, Node, Yaml},
    },
    policy::RetryPolicy,
};
use saga_guards::{balancer::{Ejection, Strategy}, breaker, budget};
use std::{collections::{BTreeMap, BTreeSet}, num::NonZeroU32};

/// Most participants: each keeps connections and guards.
const MAX_PARTICIPANTS: usize = 500;

struct Reader<'e> {
    report: Report,
    env: &'e dyn Fn(&str) -> Option<String>,
}

pub(super) fn read(
    file: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Participants, Vec<Diagnostic>> {
    let mut reader = Reader { report: Report::new(file, text), env };
    let participants = tree::read(&mut reader.report).map(|root| reader.file(&root));
    match participants {
        Some(participants) if !reader.report.has_errors() => Ok(participants),
        Some(_) | None => Err(reader.report.into_findings()),
    }
}

impl Reader<'_> {
    fn file(&mut self, root: &Node) -> Participants {
        let Some(fields) = Fields::read(root, &PARTICIPANTS, &mut self.report) else { return Participants::default() };
        let Some(node) = fields.node("participants") else { return Participants::default() };
        let Yaml::Map(entries) = &node.value else {
            wrong(&mut self.report, node, "`participants` is a map of names")
                .help("write name: {http: {url: …}} below it");
            return Participants::default();
        };
        if entries.len() > MAX_PARTICIPANTS {
            let message = format!("{} participants; at most {MAX_PARTICIPANTS} are possible", entries.len());
            self.report.error(Code::TooLarge, entries[MAX_PARTICIPANTS].0.span, message);
        }
        let mut by_name = BTreeMap::new();
        for (key, node) in entries {
            if !target::is_name(&key.text) {
                let message = format!("`{}` cannot be the name of a participant", key.text);
                self.report
                    .error(Code::BadName, key.span, message)
                    .help("letters, digits, `-`, `_` and `.`, a letter first");
            }
            by_name.extend(self.participant(key.span, node).map(|participant| (key.text.clone(), participant)));
        }
        Participants { by_name }
    }

    fn participant(&mut self, name: Span, node: &Node) -> Option<Participant> {
        let fields = Fields::read(node, &PARTICIPANT, &mut self.report)?;
        let transport = self.transport(name, &fields);
        let (default_timeout, default_bulkhead) = match &transport {
            Some(Transport::Kafka { .. }) => (KAFKA_TIMEOUT, KAFKA_BULKHEAD),
            Some(Transport::Http { .. }) | None => (HTTP_TIMEOUT, BULKHEAD),
        };
        let retry =
            fields.node("retry").and_then(|node| policies::retry(node, &RetryPolicy::standard(), &mut self.report));
        let (retry_on, fail_on) = (self.statuses(&fields, "retryOn"), self.statuses(&fields, "failOn"));
        let authorization = fields.text("authorization", &mut self.report).map(|text| self.secret(&text));
        Some(Participant {
            description: fields.text("description", &mut self.report).map(|text| text.value),
            timeout: fields.duration("timeout", &mut self.report).unwrap_or(default_timeout),
            connect_timeout: fields.duration("connectTimeout", &mut self.report).unwrap_or(CONNECT_TIMEOUT),
            retry,
            kind: None,
            read_timeout: None,
            write_timeout: None,
            breaker: self.breaker(&fields),
            bulkhead: Bulkhead::of(
                fields
                    .integer("bulkhead", 1, &mut self.report)
                    .and_then(NonZeroU32::new)
                    .unwrap_or(default_bulkhead),
            ),
            rate_limit: None,
            retry_budget: budget::Config::default(),
            degraded: Degraded::default(),
            health: None,
            capabilities: BTreeSet::new(),
            depends_on: Vec::new(),
            classes: Vec::new(),
            handling: BTreeMap::new(),
            retry_on,
            fail_on,
            max_answer_bytes: fields.integer("maxAnswerBytes", 1, &mut self.report).unwrap_or(MAX_ANSWER_BYTES),
            headers: self.headers(&fields),
            authorization,
            transport: transport?,
        })
    }

    fn transport(&mut self, name: Span, fields: &Fields<'_>) -> Option<Transport> {
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
                let help = "make two participants of it";
                self.report.error(Code::ConflictingKeys, span, "a participant has either `kafka` or `http`").help(help);
                None
            }
        }
    }

    fn kafka(&mut self, node: &Node) -> Option<Transport> {
        let fields = Fields::read(node, &KAFKA, &mut self.report)?;
        let commands = fields.name("commands", &mut self.report)?;
        Some(Transport::Kafka { commands: self.expand(&commands) })
    }

    fn http(&mut self, node: &Node) -> Option<Transport> {
        let fields = Fields::read(node, &HTTP, &mut self.report)?;
        let endpoints = match (fields.text("url", &mut self.report), fields.node("endpoints")) {
            (Some(url), None) => self.url(&url).map(|url| vec![Endpoint { url, weight: NonZeroU32::MIN }])?,
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
                self.report.error(Code::ConflictingKeys, span, "either `url` or `endpoints`").help("keep one of them");
                return None;
            }
        };
        Some(Transport::Http { endpoints, balance: Strategy::default(), ejection: Some(Ejection::default()) })
    }

    fn endpoints(&mut self, node: &Node) -> Option<Vec<Endpoint>> {
        let Yaml::List(items) = &node.value else {
            wrong(&mut self.report, node, "`endpoints` is a list").help("write endpoints: [{url: http://…}]");
            return None;
        };
        if items.is_empty() {
            self.report.error(Code::WrongValue, node.span, "`endpoints` is empty").help("write [{url: http://…}]");
        }
        Some(items.iter().filter_map(|item| self.endpoint(item)).collect())
    }

    fn endpoint(&mut self, node: &Node) -> Option<Endpoint> {
        let fields = Fields::read(node, &ENDPOINT, &mut self.report)?;
        let weight = fields.integer("weight", 1, &mut self.report).and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let url = fields.name("url", &mut self.report)?;
        Some(Endpoint { url: self.url(&url)?, weight })
    }

    /// A base URL without a slash at its end.
    fn url(&mut self, text: &Spanned<String>) -> Option<String> {
        let url = self.expand(text);
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let host = rest.map(|rest| rest.split('/').next().unwrap_or_default());
        let fits = host.is_some_and(|host| !host.is_empty()) && !url.contains(['?', '#', ' ', '@']);
        if !fits && !text.value.contains("${") {
            let message = format!("`{}` is not the base URL of a service", text.value);
            let help = "write http://host:port or https://host/base; credentials go to `authorization`";
            self.report.error(Code::WrongValue, text.span, message).help(help);
            return None;
        }
        if !fits {
            let help = "the variable has to make it http://host:port or https://host/base";
            self.report
                .error(Code::WrongValue, text.span, "with its variables this is not the base URL of a service")
                .help(help);
            return None;
        }
        Some(url.trim_end_matches('/').to_owned())
    }

    fn breaker(&mut self, fields: &Fields<'_>) -> breaker::Config {
        let usual = breaker::Config::default();
        let Some(node) = fields.node("breaker") else { return usual };
        let Some(fields) = Fields::read(node, &BREAKER, &mut self.report) else { return usual };
        let report = &mut self.report;
        let default = usual.settings();
        let settings = breaker::Settings {
            failure_rate: share(&fields, "failureRate", report).unwrap_or(default.failure_rate),
            minimum_calls: fields.integer("minimumCalls", 1, report).unwrap_or(default.minimum_calls),
            window: fields.duration("window", report).map_or(default.window, breaker::Window::Time),
            open_for: fields.duration("openFor", report).unwrap_or(default.open_for),
            probes: fields.integer("probes", 1, report).unwrap_or(default.probes),
            ..*default
        };
        breaker::Config::new(settings).unwrap_or_else(|error| {
            let span = first_line(report, lead(node));
            report.error(Code::WrongValue, span, error.to_string()).help("change that number");
            usual
        })
    }

    fn statuses(&mut self, fields: &Fields<'_>, key: &str) -> Vec<Status> {
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
            Yaml::Int(number) => {
                u16::try_from(*number).ok().filter(|status| (300..600).contains(status)).map(Status::Exactly)
            }
            Yaml::Text(text) => match text.as_str() {
                "3xx" => Some(Status::Class(3)),
                "4xx" => Some(Status::Class(4)),
                "5xx" => Some(Status::Class(5)),
                _ => None,
            },
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

    fn headers(&mut self, fields: &Fields<'_>) -> BTreeMap<String, Secret> {
        let Some(node) = fields.node("headers") else { return BTreeMap::new() };
        let Yaml::Map(entries) = &node.value else {
            wrong(&mut self.report, node, "`headers` is a map of texts").help("write headers: {X-Tenant: shop}");
            return BTreeMap::new();
        };
        let mut headers = BTreeMap::new();
        for (key, node) in entries {
            let fits = !key.text.is_empty()
                && key.text.chars().all(|sign| sign.is_ascii_alphanumeric() || "-_".contains(sign));
            if !fits {
                let message = format!("`{}` is not the name of a header", key.text);
                self.report.error(Code::WrongValue, key.span, message).help("letters, digits, `-` and `_`");
            }
            let Some(value) = fields::text(node, &mut self.report) else { continue };
            let secret = self.secret(&Spanned { value, span: node.span });
            headers.insert(key.text.clone(), secret);
        }
        headers
    }

    /// The value of a header; a line break would begin another one.
    fn secret(&mut self, text: &Spanned<String>) -> Secret {
        let value = self.expand(text);
        if value.contains(|sign: char| sign.is_control()) {
            let message = "the value of a header has no line breaks or control characters";
            self.report.error(Code::WrongValue, text.span, message).help("check the variables in it");
        }
        Secret(value)
    }

    /// `text` with every `${ env.NAME }` replaced.
    fn expand(&mut self, text: &Spanned<String>) -> String {
        let mut result = String::new();
        let mut rest = text.value.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let Some((inside, after)) = after.split_once('}') else {
                self.report.error(Code::WrongValue, text.span, "`${` is never closed").help("write ${ env.NAME }");
                return result;
            };
            result.push_str(&self.variable(inside.trim(), text.span));
            rest = after;
        }
        result.push_str(rest);
        result
    }

    fn variable(&mut self, inside: &str, span: Span) -> String {
        let Some(name) = inside.strip_prefix("env.") else {
            let message = format!("`${{ {inside} }}` is not known here");
            self.report.error(Code::UnknownName, span, message).help("write ${ env.NAME }");
            return String::new();
        };
        (self.env)(name).unwrap_or_else(|| {
            let message = format!("the environment variable `{name}` is not set");
            self.report.error(Code::MissingVariable, span, message).help(format!("set {name} before the start"));
            String::new()
        })
    }
}

/// A share of more than 0 and at most 1.
fn share(fields: &Fields<'_>, key: &str, report: &mut Report) -> Option<f64> {
    let node = fields.node(key)?;
    let share = match node.value {
        Yaml::Float(number) => Some(number),
        Yaml::Int(1) => Some(1.0),
        Yaml::Null | Yaml::Bool(_) | Yaml::Int(_) | Yaml::Uint(_) | Yaml::Text(_) | Yaml::List(_) | Yaml::Map(_) => {
            None
        }
    };
    let share = share.filter(|share| *share > 0.0 && *share <= 1.0);
    if share.is_none() {
        wrong(report, node, &format!("`{key}` is a share, more than 0 and at most 1")).help("half of all calls is 0.5");
    }
    share
}
