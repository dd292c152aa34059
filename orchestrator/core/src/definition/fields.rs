//! Reading the values of a map: each method reports what is wrong and goes on.

use super::{
    diagnostic::{Code, FindingBuilder, FindingCollector, TextSpan, did_you_mean},
    duration,
    keys::{KeyPresence, MapSchema},
    spanned::SpannedValue,
    tree::{YamlKey, YamlNode, YamlValue},
    wishes, written,
};
use crate::json::JsonError;
use serde_json::{Number, Value};
use std::time::Duration;

/// The entries of a map whose keys are those of a shape.
pub(crate) struct MapReader<'a> {
    shape: &'static MapSchema,
    /// Where the map begins, for findings about the whole map.
    pub(crate) span: TextSpan,
    entries: &'a [(YamlKey, YamlNode)],
}

impl<'a> MapReader<'a> {
    /// The fields of `node`, which has to be a map; unknown and missing keys are reported.
    pub(crate) fn read(
        node: &'a YamlNode,
        shape: &'static MapSchema,
        report: &mut FindingCollector,
    ) -> Option<MapReader<'a>> {
        let YamlValue::Map(entries) = &node.value else {
            wrong(report, node, &format!("{} is a map", shape.name)).help(example(shape));
            return None;
        };
        let fields = MapReader { shape, span: lead(node), entries };
        fields.refuse_unknown(report);
        fields.refuse_missing(report);
        Some(fields)
    }

    fn refuse_unknown(&self, report: &mut FindingCollector) {
        for (key, _) in self.entries.iter().filter(|(key, _)| !self.shape.has(&key.text)) {
            let message = format!("{} has no key `{}`", self.shape.name, key.text);
            let list = || format!("its keys are {}", self.shape.names().collect::<Vec<_>>().join(", "));
            let help = wishes::key(self.shape, &key.text)
                .or_else(|| did_you_mean(&key.text, self.shape.names()))
                .unwrap_or_else(list);
            report.error(Code::UnknownKey, key.span, message).help(help);
        }
    }

    fn refuse_missing(&self, report: &mut FindingCollector) {
        for rule in
            self.shape.keys.iter().filter(|rule| rule.need == KeyPresence::Required && self.node(rule.name).is_none())
        {
            let message = format!("{} needs `{}`", self.shape.name, rule.name);
            let help = format!("{} For example: {}: {}", rule.description, rule.name, rule.example);
            report.error(Code::MissingKey, self.span, message).help(help);
        }
    }

    /// The value under `key`; `None` if the map has no such key.
    pub(crate) fn node(&self, key: &str) -> Option<&'a YamlNode> {
        debug_assert!(self.shape.has(key), "`{key}` is not a key of {}", self.shape.name);
        self.entries.iter().find(|(name, _)| name.text == key).map(|(_, node)| node)
    }

    /// The place of the word `key` itself; `None` if the map has no such key.
    pub(crate) fn key_span(&self, key: &str) -> Option<TextSpan> {
        self.entries.iter().find(|(name, _)| name.text == key).map(|(name, _)| name.span)
    }

    pub(crate) fn text(&self, key: &str, report: &mut FindingCollector) -> Option<SpannedValue<String>> {
        let node = self.node(key)?;
        text(node, report).map(|value| SpannedValue { value, span: node.span })
    }

    /// A text that is not empty; an empty one is reported.
    pub(crate) fn name(&self, key: &str, report: &mut FindingCollector) -> Option<SpannedValue<String>> {
        let text = self.text(key, report)?;
        if text.value.trim().is_empty() {
            report
                .error(Code::WrongValue, text.span, format!("`{key}` is empty"))
                .help("write its name, or remove the key");
            return None;
        }
        Some(text)
    }

    /// The name of a topic; one that Kafka does not accept is reported.
    pub(crate) fn topic(&self, key: &str, report: &mut FindingCollector) -> Option<SpannedValue<String>> {
        let text = self.name(key, report)?;
        written::topic(&text, report);
        Some(text)
    }

    /// The type of an event, which travels in a header.
    pub(crate) fn event_type(&self, key: &str, report: &mut FindingCollector) -> Option<SpannedValue<String>> {
        let text = self.name(key, report)?;
        written::event_type(&text, key, report);
        Some(text)
    }

    /// `false` if the key is absent; `true` if it says something else, so that one slip is one finding.
    pub(crate) fn flag(&self, key: &str, report: &mut FindingCollector) -> bool {
        match self.node(key) {
            None => false,
            Some(YamlNode { value: YamlValue::Bool(truth), .. }) => *truth,
            Some(node) => {
                let help = written::unquoted(node).unwrap_or_else(|| "write true or false".to_owned());
                wrong(report, node, &format!("`{key}` must be true or false")).help(help);
                true
            }
        }
    }

    pub(crate) fn duration(&self, key: &str, report: &mut FindingCollector) -> Option<Duration> {
        self.node(key).and_then(|node| duration(node, report))
    }

    /// A whole number of at least `least`; any other value is reported.
    pub(crate) fn integer(&self, key: &str, least: u32, report: &mut FindingCollector) -> Option<u32> {
        let node = self.node(key)?;
        plain_number(node, report)?;
        let number = match node.value {
            YamlValue::Int(number) => u32::try_from(number).ok(),
            YamlValue::Null
            | YamlValue::Bool(_)
            | YamlValue::Uint(_)
            | YamlValue::Float(_)
            | YamlValue::Text(_)
            | YamlValue::List(_)
            | YamlValue::Map(_) => None,
        };
        let fits = number.filter(|number| *number >= least);
        if fits.is_none()
            && let Some(whole) = whole_number(node).filter(|number| *number >= least)
        {
            let message = format!("`{key}` must be a whole number in plain digits");
            wrong(report, node, &message).help(format!("write {whole}"));
            return None;
        }
        if fits.is_none() {
            let help = written::unquoted(node).unwrap_or_else(|| format!("write {least} or more, as a whole number"));
            let most = match node.value {
                YamlValue::Int(number) => number > 0 && u32::try_from(number).is_err(),
                YamlValue::Uint(_) => true,
                YamlValue::Float(number) => number > f64::from(u32::MAX),
                YamlValue::Null | YamlValue::Bool(_) | YamlValue::Text(_) | YamlValue::List(_) | YamlValue::Map(_) => {
                    false
                }
            };
            let bound = if most { format!("at most {}", u32::MAX) } else { format!("at least {least}") };
            let help = if most { format!("write {} or less", u32::MAX) } else { help };
            wrong(report, node, &format!("`{key}` must be a whole number of {bound}")).help(help);
        }
        fits
    }

    /// The text under `key`, which has to be one of `choices`; any other value is reported.
    pub(crate) fn choice(
        &self,
        key: &str,
        choices: &[&'static str],
        report: &mut FindingCollector,
    ) -> Option<&'static str> {
        self.node(key).and_then(|node| choice(node, key, choices, report))
    }
}

/// The whole number that is written as `3.0` or `1e3`.
fn whole_number(node: &YamlNode) -> Option<u32> {
    match node.value {
        YamlValue::Float(number) if number.fract() == 0.0 => format!("{number:.0}").parse().ok(),
        YamlValue::Float(_)
        | YamlValue::Null
        | YamlValue::Bool(_)
        | YamlValue::Int(_)
        | YamlValue::Uint(_)
        | YamlValue::Text(_)
        | YamlValue::List(_)
        | YamlValue::Map(_) => None,
    }
}

/// The one of `choices` that `node` holds; any other value is reported, with the most similar choice.
pub(crate) fn choice(
    node: &YamlNode,
    key: &str,
    choices: &[&'static str],
    report: &mut FindingCollector,
) -> Option<&'static str> {
    let list = || choices.join(", ");
    let YamlValue::Text(text) = &node.value else {
        wrong(report, node, &format!("`{key}` must be one of {}", list())).help(format!("write {}", list()));
        return None;
    };
    let found = choices.iter().find(|choice| *choice == text);
    if found.is_none() {
        let message = format!("`{text}` is not one of {}", list());
        let help = did_you_mean(text, choices.iter().copied()).unwrap_or_else(|| format!("write {}", list()));
        report.error(Code::WrongValue, node.span, message).help(help);
    }
    found.copied()
}

/// A text. The author has to quote numbers, so that `1.10` stays `1.10`.
pub(crate) fn text(node: &YamlNode, report: &mut FindingCollector) -> Option<String> {
    match &node.value {
        YamlValue::Text(text) => Some(text.clone()),
        YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Uint(_) | YamlValue::Float(_) => {
            let found = format!("a string is expected here, but this is {}", node.value.kind());
            report.error(Code::WrongValue, node.span, found).help("quote it");
            None
        }
        YamlValue::Null | YamlValue::List(_) | YamlValue::Map(_) => {
            wrong(report, node, "a value here must be a string").help("write a string");
            None
        }
    }
}

pub(crate) fn duration(node: &YamlNode, report: &mut FindingCollector) -> Option<Duration> {
    let source = &report.text()[node.span.start.min(report.text().len())..node.span.end.min(report.text().len())];
    let written = match &node.value {
        YamlValue::Text(text) => text.clone(),
        YamlValue::Null
        | YamlValue::Bool(_)
        | YamlValue::Int(_)
        | YamlValue::Uint(_)
        | YamlValue::Float(_)
        | YamlValue::List(_)
        | YamlValue::Map(_) => source.lines().next().unwrap_or_default().to_owned(),
    };
    match duration::parse(&written) {
        Ok(duration) => Some(duration),
        Err(reason) => {
            report
                .error(Code::BadDuration, node.span, format!("`{written}` is not a duration: {reason}"))
                .help(duration::help(&written));
            None
        }
    }
}

/// Whether a number stands there as it will be read, and can be computed with: `010`, `0x1F` and `1e400` do not. What
/// is no number is not looked at.
pub(crate) fn plain_number(node: &YamlNode, report: &mut FindingCollector) -> Option<()> {
    match node.value {
        YamlValue::Float(_) if is_no_number(node, report) => {
            wrong(report, node, "a number must be written in digits").help("write a number in digits");
            None
        }
        YamlValue::Float(number) if !number.is_finite() => {
            wrong(report, node, "the number is too large").help("write a smaller one");
            None
        }
        YamlValue::Int(_) | YamlValue::Uint(_) | YamlValue::Float(_) => number_as_written(node, report).map(drop),
        YamlValue::Null | YamlValue::Bool(_) | YamlValue::Text(_) | YamlValue::List(_) | YamlValue::Map(_) => Some(()),
    }
}

/// The number that stands there, with the digits that it is written with, if it is written as it will be read.
pub(crate) fn number_as_written(node: &YamlNode, report: &mut FindingCollector) -> Option<Number> {
    let written = written(report, node).trim_matches(['"', '\'']).to_owned();
    if is_no_number(node, report) {
        let message = format!("`{written}` is a number of YAML that JSON does not have");
        report
            .error(Code::WrongValue, node.span, message)
            .help(format!("write \"{written}\" if it is a string, else write a number in digits"));
        return None;
    }
    let (value, is_plain) = match node.value {
        YamlValue::Int(number) => (number.to_string(), written == number.to_string()),
        YamlValue::Uint(number) => (number.to_string(), written == number.to_string()),
        YamlValue::Float(number) => (number.to_string(), true),
        YamlValue::Null | YamlValue::Bool(_) | YamlValue::Text(_) | YamlValue::List(_) | YamlValue::Map(_) => {
            return None;
        }
    };
    // JSON's grammar of numbers: no leading zero, no `_`, digits around the point.
    match crate::json::read(written.as_bytes()) {
        Ok(Value::Number(number)) if is_plain => return Some(number),
        Err(unfit @ (JsonError::Number { .. } | JsonError::Exponent(_))) => {
            report.error(Code::WrongValue, node.span, unfit.to_string()).help("quote it");
        }
        Ok(_) | Err(_) => {
            let message = format!("`{written}` would be read as the number {value}");
            let help = format!("write {value}, or \"{written}\" if it is a string");
            report.error(Code::AmbiguousNumber, node.span, message).help(help);
        }
    }
    None
}

/// Whether the value is one of YAML's `.inf` and `.nan`, which have no digits.
fn is_no_number(node: &YamlNode, report: &FindingCollector) -> bool {
    let has_digits = || written(report, node).bytes().any(|byte| byte.is_ascii_digit());
    matches!(node.value, YamlValue::Float(number) if !number.is_finite()) && !has_digits()
}

/// How a scalar is written in the file.
fn written<'r>(report: &'r FindingCollector, node: &YamlNode) -> &'r str {
    report.text().get(node.span.start..node.span.end).unwrap_or_default().trim()
}

/// Reports that `node` is of the wrong kind.
pub(crate) fn wrong<'r>(report: &'r mut FindingCollector, node: &YamlNode, expected: &str) -> FindingBuilder<'r> {
    let found = match &node.value {
        _ if report.is_covered(node.span) => node.value.kind().to_owned(),
        YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Uint(_) | YamlValue::Float(_) => {
            format!("`{}`", written(report, node))
        }
        YamlValue::Text(text) => format!("the string `{}`", crate::expression::shorten(text, 40)),
        YamlValue::Null | YamlValue::List(_) | YamlValue::Map(_) => node.value.kind().to_owned(),
    };
    let span = first_line(report, lead(node));
    report.error(Code::WrongValue, span, format!("{expected}, but it is {found}"))
}

/// The beginning of a map of this shape, as an example for a message.
fn example(shape: &MapSchema) -> String {
    let key = shape.keys.iter().find(|key| key.need == KeyPresence::Required).or(shape.keys.first());
    key.map_or_else(String::new, |key| format!("write its keys, such as {}: {}", key.name, key.example))
}

/// Where a node begins for a reader: a map at its first key, a list at its first item.
pub(crate) fn lead(node: &YamlNode) -> TextSpan {
    match &node.value {
        YamlValue::Map(entries) => entries.first().map_or(node.span, |(key, _)| key.span),
        YamlValue::List(items) => items.first().map_or(node.span, lead),
        YamlValue::Null
        | YamlValue::Bool(_)
        | YamlValue::Int(_)
        | YamlValue::Uint(_)
        | YamlValue::Float(_)
        | YamlValue::Text(_) => node.span,
    }
}

/// A span no longer than its first line: a map of thirty lines is pointed at by its beginning.
pub(crate) fn first_line(report: &FindingCollector, span: TextSpan) -> TextSpan {
    let text = report.text().get(span.start..span.end).unwrap_or_default();
    let length = text.find('\n').unwrap_or(text.len());
    TextSpan { start: span.start, end: span.start + text[..length].trim_end().len() }
}
