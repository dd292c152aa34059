//! What is wrong with a file, where, and what to write instead.

mod code;
mod render;
mod secrets;

pub use code::Code;
pub use render::{RenderStyle, render};
pub(crate) use secrets::covered;
pub use secrets::without_credentials;

use serde::Serialize;
use std::{fmt, sync::Arc};

/// A part of a file, as a range of byte offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextSpan {
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset one past the last byte.
    pub end: usize,
}

/// Whether a finding stops the file from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FindingSeverity {
    /// The engine refuses the file.
    Error,
    /// The engine uses the file; the author should look at the finding.
    Warning,
}

/// A further place that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelatedPlace {
    /// The part of the same file that is shown beside the finding.
    pub span: TextSpan,
    /// What is at this place, in words, for the excerpt.
    pub text: String,
}

/// An edit that removes a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuggestedFix {
    /// The text that the edit replaces; an empty span inserts.
    pub span: TextSpan,
    /// The text that the edit writes in place of the span.
    pub text: String,
}

/// One problem in a file: what is wrong, where it is, and how to correct it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFinding {
    /// Stable name of what is wrong; the documentation has a page for each.
    pub code: Code,
    /// Whether it stops the file from being used.
    pub severity: FindingSeverity,
    /// What is wrong, in one sentence for the author.
    pub message: String,
    /// What to write instead; `None` if there is no suggestion.
    pub help: Option<String>,
    /// The help as an edit; `None` where no exact edit is known.
    pub fix: Option<SuggestedFix>,
    /// Name of the file, as the caller gave it.
    pub file: String,
    /// The part of the file that the finding is about; empty for the file as a whole.
    pub span: TextSpan,
    /// Further places in the file that explain the finding.
    pub related: Vec<RelatedPlace>,
    /// The file's text; the position is computed from it.
    pub(crate) text: Arc<str>,
    /// The file's text with its secrets covered, for the excerpt.
    pub(crate) excerpt: Arc<str>,
}

/// A place in a file as readers count it: lines and columns from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPosition {
    /// Line number, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl CheckFinding {
    /// Line and column of the first character of the finding.
    #[must_use]
    pub fn position(&self) -> TextPosition {
        position(&self.text, self.span.start)
    }

    /// Whether it is known where in the file it is; otherwise it is about the file as a whole, whose text it does not
    /// have.
    #[must_use]
    pub fn has_position(&self) -> bool {
        !self.text.is_empty() || self.span != TextSpan::default()
    }

    /// Whether the finding stops the engine from using the file.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == FindingSeverity::Error
    }

    /// The shape for `--output json`: one object with the keys
    /// `file line column endLine endColumn offset length severity code message help`. Where the place in the file is
    /// not known, the keys of the place are `null`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let (from, to) = (self.position(), position(&self.text, self.span.end));
        let known = |number: usize| self.has_position().then_some(number);
        serde_json::json!({
            "file": self.file,
            "line": known(from.line),
            "column": known(from.column),
            "endLine": known(to.line),
            "endColumn": known(to.column),
            "offset": known(self.span.start),
            "length": known(self.span.end.saturating_sub(self.span.start)),
            "severity": self.severity,
            "code": self.code.as_str(),
            "message": self.message,
            "help": self.help,
        })
    }
}

impl fmt::Display for CheckFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TextPosition { line, column } = self.position();
        let place = if self.has_position() { format!(":{line}:{column}") } else { String::new() };
        write!(f, "{}{place}: {} [{}]", self.file, self.message, self.code.as_str())
    }
}

impl std::error::Error for CheckFinding {}

pub(crate) fn position(text: &str, offset: usize) -> TextPosition {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    TextPosition { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

/// Collects the findings of one file.
pub(crate) struct FindingCollector {
    file: String,
    text: Arc<str>,
    excerpt: Arc<str>,
    findings: Vec<CheckFinding>,
}

/// Most findings per file that are kept: the file that causes more has one cause.
const MAX_FINDINGS: usize = 100;

impl FindingCollector {
    pub(crate) fn new(file: &str, text: &str) -> FindingCollector {
        FindingCollector { file: file.to_owned(), text: text.into(), excerpt: text.into(), findings: Vec::new() }
    }

    /// Of a file that is shown as `excerpt`, byte for byte as long.
    pub(crate) fn with_excerpt(file: &str, text: &str, excerpt: &str) -> FindingCollector {
        FindingCollector { excerpt: excerpt.into(), ..FindingCollector::new(file, text) }
    }

    /// Whether something that stands there may be secret: no message says what it is.
    pub(crate) fn is_covered(&self, span: TextSpan) -> bool {
        self.text.get(span.start..span.end) != self.excerpt.get(span.start..span.end)
    }

    /// The file's text, with its secrets.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn error(&mut self, code: Code, span: TextSpan, message: impl Into<String>) -> FindingBuilder<'_> {
        self.add(FindingSeverity::Error, code, span, &message.into())
    }

    pub(crate) fn warning(&mut self, code: Code, span: TextSpan, message: impl Into<String>) -> FindingBuilder<'_> {
        self.add(FindingSeverity::Warning, code, span, &message.into())
    }

    fn add(&mut self, severity: FindingSeverity, code: Code, span: TextSpan, message: &str) -> FindingBuilder<'_> {
        self.findings.push(CheckFinding {
            code,
            severity,
            message: secrets::without_credentials(message).into_owned(),
            help: None,
            fix: None,
            file: self.file.clone(),
            span,
            related: Vec::new(),
            text: Arc::clone(&self.text),
            excerpt: Arc::clone(&self.excerpt),
        });
        FindingBuilder(self.findings.last_mut().expect("one was just added"))
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(CheckFinding::is_error)
    }

    /// All findings, in the order of the file.
    pub(crate) fn into_findings(mut self) -> Vec<CheckFinding> {
        self.findings.sort_by_key(|finding| (finding.span, finding.severity));
        self.findings.dedup();
        self.findings.truncate(MAX_FINDINGS);
        self.findings
    }
}

/// A finding that can be said more about.
pub(crate) struct FindingBuilder<'a>(&'a mut CheckFinding);

impl FindingBuilder<'_> {
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.0.help = Some(secrets::without_credentials(&help.into()).into_owned());
        self
    }

    pub(crate) fn fix(self, fix: SuggestedFix) -> Self {
        self.0.fix = Some(fix);
        self
    }

    pub(crate) fn related(self, span: TextSpan, text: impl Into<String>) -> Self {
        self.0.related.push(RelatedPlace { span, text: text.into() });
        self
    }
}

/// `did you mean …?` for the most similar of `known`.
#[must_use]
pub fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(wrong, known).map(|name| format!("did you mean `{name}`?"))
}

/// The same behind a message, as `; did you mean …?`; empty if none is similar.
#[must_use]
pub fn or_did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    did_you_mean(wrong, known).map_or_else(String::new, |guess| format!("; {guess}"))
}

/// The most similar of `known`, if it is similar enough to be a slip.
pub(crate) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored =
        known.into_iter().map(|name| (strsim::jaro_winkler(&wrong.to_lowercase(), &name.to_lowercase()), name));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= SIMILAR).then_some(best.1)
}

/// Jaro-Winkler similarity from which on two names are taken for a slip: `onExausted`, `tiemout`, but not `step` for
/// `retry`.
const SIMILAR: f64 = 0.8;
