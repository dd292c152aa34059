//! Tags: a value is what it looks like. Those of one's own end the reading; those of YAML itself are read, so that a
//! stored definition that has one goes on, and refused where files are checked.

use crate::definition::diagnostic::{Code, FindingCollector, TextSpan};
use serde_saphyr::granit_parser::{Event, Parser, Tag};

pub(super) const HELP: &str = "remove the tag: a value has the type that it looks like; for a string write quotes";

/// Reports every tag of a text that is YAML.
pub(super) fn refuse(report: &mut FindingCollector, text: &str) {
    if !text.contains('!') {
        return;
    }
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        let Some((tag, value)) = tag_of(&event) else { continue };
        let written = format!("{}{}", tag.original_handle(), tag.suffix());
        let place = span.tag_span().unwrap_or(span).byte_range().unwrap_or_default();
        let node = span.byte_range().map(|range| TextSpan { start: range.start, end: range.end }).unwrap_or_default();
        let help = match (tag.suffix(), value.filter(|_| !report.is_covered(node))) {
            ("str", Some(value)) if !value.contains(['"', '\\', '\n']) => format!("write \"{value}\""),
            ("int" | "float" | "bool" | "null", Some(value)) => format!("write {value}"),
            _ => HELP.to_owned(),
        };
        let span = TextSpan { start: place.start, end: place.end };
        report.error(Code::Yaml, span, format!("tags are not allowed: `{written}`")).help(help);
    }
}

/// The tag of a node, and the text of a scalar.
fn tag_of<'e>(event: &'e Event<'_>) -> Option<(&'e Tag, Option<&'e str>)> {
    match event {
        Event::Scalar(value, _, _, Some(tag)) => Some((tag, Some(value))),
        Event::SequenceStart(_, _, Some(tag)) | Event::MappingStart(_, _, Some(tag)) => Some((tag, None)),
        _ => None,
    }
}
