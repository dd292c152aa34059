//! Renders findings as text for readers, with the excerpt of the file.

use super::{CheckFinding, FindingSeverity};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceSpan};
use std::fmt::{self, Write};

/// How findings are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderStyle {
    /// With colours, for a terminal that supports them.
    Colour,
    /// Without colours, for files and tests.
    Plain,
}

/// Columns after which lines are wrapped.
const WIDTH: usize = 120;

/// All findings, each with its excerpt; empty if there are none.
#[must_use]
pub fn render(findings: &[CheckFinding], style: RenderStyle) -> String {
    let theme = match style {
        RenderStyle::Colour => GraphicalTheme::unicode(),
        RenderStyle::Plain => GraphicalTheme::unicode_nocolor(),
    };
    let mut text = String::new();
    for finding in findings {
        // What is to be copied stays in one piece.
        let wraps = finding.fix.is_none() && !finding.help.as_deref().is_some_and(|help| help.contains('\n'));
        let handler = GraphicalReportHandler::new_themed(theme.clone()).with_width(WIDTH).with_links(false);
        let handler = handler.with_wrap_lines(wraps);
        handler.render_report(&mut text, &MietteFinding::of(finding)).expect("a string takes everything");
        text.push('\n');
    }
    text
}

/// A finding in miette's terms.
struct MietteFinding<'a> {
    finding: &'a CheckFinding,
    source: NamedSource<String>,
}

impl<'a> MietteFinding<'a> {
    fn of(finding: &'a CheckFinding) -> MietteFinding<'a> {
        MietteFinding { finding, source: NamedSource::new(&finding.file, finding.excerpt.to_string()) }
    }
}

impl fmt::Debug for MietteFinding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.finding.fmt(f)
    }
}

impl fmt::Display for MietteFinding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without an excerpt, nothing else names the file.
        if !self.finding.has_position() {
            write!(f, "{}: ", self.finding.file)?;
        }
        f.write_str(&self.finding.message)
    }
}

impl std::error::Error for MietteFinding<'_> {}

impl miette::Diagnostic for MietteFinding<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.finding.code.as_str()))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.finding.severity {
            FindingSeverity::Error => miette::Severity::Error,
            FindingSeverity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.finding.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.finding.has_position().then_some(&self.source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if !self.finding.has_position() {
            return None;
        }
        let here = |span: super::TextSpan| SourceSpan::from((span.start, span.end.saturating_sub(span.start)));
        let related = self.finding.related.iter();
        let related = related.map(move |place| LabeledSpan::new_with_span(Some(place.text.clone()), here(place.span)));
        let main = LabeledSpan::new_primary_with_span(Some("here".to_owned()), here(self.finding.span));
        Some(Box::new(std::iter::once(main).chain(related)))
    }
}

impl CheckFinding {
    /// How many errors and warnings there are, in words; empty if there are none.
    #[must_use]
    pub fn summary(findings: &[CheckFinding]) -> String {
        let errors = findings.iter().filter(|finding| finding.is_error()).count();
        let mut text = String::new();
        for (count, one) in [(errors, "error"), (findings.len() - errors, "warning")] {
            if count > 0 {
                let (comma, many) = (if text.is_empty() { "" } else { ", " }, if count == 1 { "" } else { "s" });
                write!(text, "{comma}{count} {one}{many}").expect("a string takes everything");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Code;

    #[test]
    fn a_finding_without_a_place_names_its_file_only() {
        let severity = FindingSeverity::Warning;
        let finding =
            CheckFinding::of_file(Code::BadConfig, severity, "config.yaml", "`topics.dlq` is empty", "name it");
        let text = render(std::slice::from_ref(&finding), RenderStyle::Plain);
        assert!(text.contains("config.yaml: `topics.dlq` is empty") && !text.contains("1:1"), "{text}");
        assert_eq!(finding.to_string(), "config.yaml: `topics.dlq` is empty [bad-config]");
        assert_eq!(
            (&finding.json()["line"], &finding.json()["file"]),
            (&serde_json::Value::Null, &"config.yaml".into())
        );
    }
}
