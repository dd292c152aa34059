//! Texts in which `${ env.NAME }` and `${ file.PATH }` stand: addresses and secrets.

use super::{MissingVariablePolicy, ParticipantReader, SecretText, address};
use crate::definition::{
    diagnostic::{Code, TextSpan},
    fields::{self, MapReader, wrong},
    spanned::SpannedValue,
    tree::YamlValue,
    wishes, written,
};
use std::collections::BTreeMap;

/// Headers that each request has from the engine or the connection, and what to do instead.
const OWN_HEADERS: [(&str, &str); 22] = [
    ("accept-encoding", "remove the header: the engine sets it; an answer in another coding has the outcome unknown"),
    ("idempotency-key", "remove it: it is the command id; idempotencyKey: uuid writes it as a UUID"),
    ("x-command-id", REMOVE),
    ("x-request-id", REMOVE),
    ("x-correlation-id", REMOVE),
    ("traceparent", REMOVE),
    ("tracestate", REMOVE),
    ("baggage", REMOVE),
    ("x-origin-request-id", REMOVE),
    ("x-origin-correlation-id", REMOVE),
    ("x-trace-id", REMOVE),
    ("host", "write the host into the URL"),
    ("content-length", REMOVE),
    ("transfer-encoding", REMOVE),
    ("connection", REMOVE),
    ("keep-alive", "write idleTimeout and connectionMaxAge"),
    ("proxy-connection", REMOVE),
    ("te", REMOVE),
    ("trailer", REMOVE),
    ("upgrade", REMOVE),
    ("expect", REMOVE),
    ("range", REMOVE),
];
const REMOVE: &str = "remove it";

/// Names of the headers that the engine or the connection sets; a file may not set them.
pub(in crate::definition) fn own_headers() -> impl Iterator<Item = &'static str> {
    OWN_HEADERS.iter().map(|(name, _)| *name)
}

/// Stands for a text whose variable may be missing.
const UNSET: &str = "unset";
const UNSET_URL: &str = "http://unset.invalid";

impl ParticipantReader<'_> {
    pub(super) fn headers(&mut self, fields: &MapReader<'_>) -> BTreeMap<String, SecretText> {
        let Some(node) = fields.node("headers") else { return BTreeMap::new() };
        let YamlValue::Map(entries) = &node.value else {
            wrong(&mut self.report, node, "`headers` must be a map of strings").help("write headers: {X-Tenant: shop}");
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
            self.refuse_own_header(&key.text, key.span);
            let Some(value) = fields::text(node, &mut self.report) else { continue };
            let text = SpannedValue { value, span: node.span };
            if names_a_secret(&key.text) {
                self.warn_of_literal(&text);
            }
            let secret = self.secret(&text);
            headers.insert(key.text.clone(), secret);
        }
        headers
    }

    /// A value that is the same for every command would make all of them one, or would not be sent.
    fn refuse_own_header(&mut self, name: &str, span: TextSpan) {
        let Some((_, help)) = OWN_HEADERS.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)) else { return };
        let message = format!("`{name}` is set by the engine for each request");
        self.report.error(Code::ConflictingKeys, span, message).help(*help);
    }

    /// The value of a header; a line break would begin another one.
    pub(super) fn secret(&mut self, text: &SpannedValue<String>) -> SecretText {
        let value = self.expand(text);
        if value.contains(|sign: char| sign.is_control()) {
            let message = "the value of a header cannot contain line breaks or control characters";
            self.report.error(Code::WrongValue, text.span, message).help("check the variables in it");
        }
        SecretText(value)
    }

    /// A base URL without a slash at its end.
    pub(super) fn base_url(&mut self, text: &SpannedValue<String>) -> Option<String> {
        let help = "http://payments:9001 or https://payments.example.com/api; credentials go to `authorization`";
        let url = self.url(text, "the base URL of a service", &['?', '#'], help)?;
        Some(url.trim_end_matches('/').to_owned())
    }

    /// The URL of a page.
    pub(super) fn page_url(&mut self, text: &SpannedValue<String>) -> Option<String> {
        self.url(
            text,
            "a URL that can be asked",
            &['#'],
            "http://payments:9001/health or https://payments.example.com/health",
        )
    }

    fn url(&mut self, text: &SpannedValue<String>, what: &str, without: &[char], help: &str) -> Option<String> {
        let Some(expanded) = self.expanded(text) else { return Some(UNSET_URL.to_owned()) };
        let why = match address::read(&expanded, without) {
            Ok(url) => return Some(url),
            Err(why) => why,
        };
        // What a variable made of it may be secret, so it is not shown.
        let (message, help) = if text.value.contains("${") {
            (format!("with its variables this is not {what}: {why}"), format!("the variable has to make it {help}"))
        } else {
            (format!("`{}` is not {what}: {why}", text.value), format!("write {help}"))
        };
        self.report.error(Code::WrongValue, text.span, message).help(help);
        None
    }

    /// The name of a topic.
    pub(super) fn topic(&mut self, text: &SpannedValue<String>) -> Option<String> {
        let Some(name) = self.expanded(text) else { return Some(UNSET.to_owned()) };
        written::topic(&SpannedValue { value: name.clone(), span: text.span }, &mut self.report);
        Some(name)
    }

    /// `text` with every `${ env.NAME }` and `${ file.PATH }` replaced; one that may be missing leaves its place empty.
    pub(super) fn expand(&mut self, text: &SpannedValue<String>) -> String {
        self.expanded(text).unwrap_or_default()
    }

    /// The same; `None`: a variable is missing, and that is allowed or has been reported.
    pub(super) fn expanded(&mut self, text: &SpannedValue<String>) -> Option<String> {
        let mut result = Some(String::new());
        let mut rest = text.value.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            let Some((inside, after)) = after.split_once('}') else {
                self.report.error(Code::WrongValue, text.span, "`${` is never closed").help("write ${ env.NAME }");
                return result;
            };
            let value = self.variable(inside.trim(), text.span);
            result = result.zip(value).map(|(result, value)| format!("{result}{before}{value}"));
            rest = after;
        }
        result.map(|result| result + rest)
    }

    fn variable(&mut self, inside: &str, span: TextSpan) -> Option<String> {
        let (found, missing, help) = match (inside.strip_prefix("env."), inside.strip_prefix("file.")) {
            (Some(name), _) => (
                (self.env)(name),
                format!("the environment variable `{name}` is not set"),
                format!("set {name} before the start"),
            ),
            (None, Some(path)) => (
                (self.env)(inside),
                format!("the file `{path}` cannot be read, or is not a short text"),
                "the file must contain the value and nothing else".to_owned(),
            ),
            (None, None) => {
                let message = format!("`${{ {inside} }}` is not known here");
                let is_of_caller = ["record", "event", "saga", "trigger"].iter().any(|name| inside.starts_with(name));
                let help = if is_of_caller { wishes::FORWARDING } else { "write ${ env.NAME } or ${ file.PATH }" };
                self.report.error(Code::UnknownName, span, message).help(help);
                return None;
            }
        };
        if found.is_none() {
            match self.missing {
                MissingVariablePolicy::Refused => self.report.error(Code::MissingVariable, span, missing).help(help),
                MissingVariablePolicy::Allowed => {
                    let missing = format!("{missing}: its value is not checked");
                    self.report.warning(Code::MissingVariable, span, missing).help(help)
                }
            };
        }
        found
    }
}

/// Whether a header of this name usually has a secret.
fn names_a_secret(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    ["auth", "token", "secret", "passw", "credential", "api-key", "apikey", "cookie"]
        .iter()
        .any(|part| header.contains(part))
}
