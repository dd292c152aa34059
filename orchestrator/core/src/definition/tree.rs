//! YAML with positions: the one form from which definitions and participants are read.

mod tags;

use super::{
    diagnostic::{Code, FindingCollector, SuggestedFix, TextSpan},
    quoting, unquoted,
};
use crate::expression::on_deep_stack;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// A YAML node and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct YamlNode {
    pub(crate) span: TextSpan,
    pub(crate) value: YamlValue,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum YamlValue {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    /// Any other number, rounded: what is passed on is taken as it is written.
    Float(f64),
    Text(String),
    List(Vec<YamlNode>),
    Map(Vec<(YamlKey, YamlNode)>),
}

/// A key and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct YamlKey {
    pub(crate) span: TextSpan,
    pub(crate) text: String,
}

impl PartialEq for YamlNode {
    fn eq(&self, other: &YamlNode) -> bool {
        self.value == other.value
    }
}

impl YamlValue {
    /// What it is, in the words of the documentation.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            YamlValue::Null => "nothing",
            YamlValue::Bool(_) => "a boolean",
            YamlValue::Int(_) | YamlValue::Uint(_) | YamlValue::Float(_) => "a number",
            YamlValue::Text(_) => "a string",
            YamlValue::List(_) => "a list",
            YamlValue::Map(_) => "a map",
        }
    }
}

impl YamlNode {
    fn of(spanned: Spanned<YamlValue>) -> YamlNode {
        YamlNode { span: span_of(spanned.referenced), value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for YamlNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<YamlNode, D::Error> {
        Spanned::<YamlValue>::deserialize(deserializer).map(YamlNode::of)
    }
}

/// Byte offsets of a position that serde-saphyr reports.
pub(crate) fn span_of(location: serde_saphyr::Location) -> TextSpan {
    let span = location.span();
    let number = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok()).unwrap_or(0);
    let start = number(span.byte_offset());
    TextSpan { start, end: start + number(span.byte_len()) }
}

impl<'de> Deserialize<'de> for YamlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<YamlValue, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = YamlValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }

    fn visit_none<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlValue, D::Error> {
        YamlValue::deserialize(deserializer)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<YamlValue, E> {
        Ok(YamlValue::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<YamlValue, E> {
        Ok(YamlValue::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<YamlValue, E> {
        Ok(i64::try_from(number).map_or(YamlValue::Uint(number), YamlValue::Int))
    }

    fn visit_f64<E>(self, number: f64) -> Result<YamlValue, E> {
        Ok(YamlValue::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<YamlValue, E> {
        Ok(YamlValue::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<YamlValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<YamlNode>()? {
            items.push(item);
        }
        Ok(YamlValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<YamlValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<YamlNode>()? {
            let key = key_of(key).map_err(A::Error::custom)?;
            entries.push((key, access.next_value::<YamlNode>()?));
        }
        Ok(YamlValue::Map(entries))
    }
}

fn key_of(node: YamlNode) -> Result<YamlKey, String> {
    let text = match node.value {
        YamlValue::Text(text) => text,
        YamlValue::Bool(truth) => truth.to_string(),
        YamlValue::Int(number) => number.to_string(),
        YamlValue::Uint(number) => number.to_string(),
        YamlValue::Null | YamlValue::Float(_) | YamlValue::List(_) | YamlValue::Map(_) => {
            return Err("a key must be a string".to_owned());
        }
    };
    crate::json::check_name(&text).map_err(|unfit| unfit.to_string())?;
    Ok(YamlKey { span: node.span, text })
}

/// Reads the text of `report`; what is wrong with it is in the report afterwards.
pub(crate) fn read(report: &mut FindingCollector) -> Option<YamlNode> {
    let text = report.text().to_owned();
    if text.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_FILE_BYTES} are read", text.len());
        report.error(Code::TooLarge, TextSpan::default(), message).help("split it over several files");
        return None;
    }
    // Deserialising recurses, in a debug build by 30 KiB a level.
    match on_deep_stack(|| serde_saphyr::from_str_with_options::<YamlNode>(&text, options())) {
        Ok(Ok(node)) => {
            tags::refuse(report, &text);
            Some(node)
        }
        Err(error) => {
            report.error(Code::TooLarge, TextSpan::default(), format!("no stack to read it on: {error}"));
            None
        }
        Ok(Err(error)) => {
            refuse(report, &text, &error);
            None
        }
    }
}

/// Largest file: a definition of this size is a program, and every instance holds the text of all versions that run.
pub const MAX_FILE_BYTES: usize = 256 * 1024;
/// Deepest nesting: the tree is read and walked recursively.
const MAX_LEVELS: usize = 64;
/// Most parser events: what 256 KiB of sensible YAML never has.
const MAX_EVENTS: usize = 50_000;

/// Nothing of YAML that hides what a file says: no aliases, no merge keys, no tags of one's own, no `yes` for `true`.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        reject_unsupported_tags: true,
        // `1e400` is a number like others where it is only passed on; code that computes with numbers refuses it.
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        budget: serde_saphyr::budget! {
            max_events: MAX_EVENTS,
            max_nodes: MAX_EVENTS,
            max_depth: MAX_LEVELS,
            max_aliases: 0,
            max_anchors: 0,
            max_merge_keys: 0,
            max_documents: 1,
            max_total_scalar_bytes: MAX_FILE_BYTES,
        },
    }
}

fn refuse(report: &mut FindingCollector, text: &str, error: &serde_saphyr::Error) {
    let span = error.location().map(|location| place(text, location)).unwrap_or_default();
    if refuse_unquoted(report, text, span.start) {
        return;
    }
    let (code, message, help) = explain(error);
    report.error(code, span, message).help(help);
}

/// Where an error is: what scans the file reports lines and columns, what reads it bytes too.
fn place(text: &str, location: serde_saphyr::Location) -> TextSpan {
    if location.span().byte_offset().is_some() {
        let TextSpan { start, end } = span_of(location);
        let start = start.min(text.len());
        return TextSpan { start, end: end.clamp(start, text.len()) };
    }
    let lines = usize::try_from(location.line()).unwrap_or(1).saturating_sub(1);
    let columns = usize::try_from(location.column()).unwrap_or(1).saturating_sub(1);
    let line_start: usize = text.split_inclusive('\n').take(lines).map(str::len).sum();
    let line = text[line_start..].lines().next().unwrap_or_default();
    let start = line_start + line.char_indices().nth(columns).map_or(line.len(), |(at, _)| at);
    TextSpan { start, end: start }
}

fn explain(error: &serde_saphyr::Error) -> (Code, String, &'static str) {
    use serde_saphyr::{Error, budget::BudgetBreach};
    match error.without_snippet() {
        Error::MergeKeyNotAllowed { .. } => {
            (Code::Yaml, "merge keys are not allowed".to_owned(), "write every key where it applies")
        }
        Error::DuplicateMappingKey { key, .. } => {
            let name = key.as_deref().map_or_else(String::new, |key| format!(" `{key}`"));
            (Code::Yaml, format!("the key{name} occurs twice"), "keep one of them")
        }
        Error::MultipleDocuments { .. } | Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => {
            let help = "write one definition per file, without `---` between them";
            (Code::Yaml, "the file holds several documents".to_owned(), help)
        }
        Error::Budget { breach: BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. }, .. } => {
            (Code::Yaml, "anchors and aliases are not allowed".to_owned(), "write every value where it is used")
        }
        Error::Budget { .. } => {
            let message = format!("the file has more than {MAX_LEVELS} levels or {MAX_EVENTS} parts");
            (Code::TooLarge, message, "split it over several files")
        }
        other if other.to_string().starts_with("unsupported tag") => {
            (Code::Yaml, first_sentence(&other.to_string()), tags::HELP)
        }
        other => {
            (Code::Yaml, first_sentence(&other.to_string()), "check indentation, quotes and brackets around this place")
        }
    }
}

/// The message without the place, which is shown anyway.
fn first_sentence(message: &str) -> String {
    let line = message.lines().next().unwrap_or("not YAML");
    line.rsplit_once(" at line ").map_or(line, |(before, _)| before).to_owned()
}

/// Reports every unquoted `${ }` of the file, if one is on the line of `offset` or the one above, where a parser that
/// stumbled over it reports.
fn refuse_unquoted(report: &mut FindingCollector, text: &str, offset: usize) -> bool {
    let line_start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let above = text[..line_start.saturating_sub(1)].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[offset..].find('\n').map_or(text.len(), |length| offset + length);
    let values = unquoted::values(text);
    let is_cause = values.iter().any(|value| value.end > above && value.start < line_end);
    for value in values.into_iter().filter(|_| is_cause) {
        let quoted = quoting::quoted(&text[value.start..value.end]);
        let message = "this expression needs quotes: YAML gives its braces, colon or `#` another meaning";
        let fix = SuggestedFix { span: value, text: quoted.clone() };
        report.error(Code::UnquotedExpression, value, message).help(format!("quote it: {quoted}")).fix(fix);
    }
    is_cause
}
