//! Edits of a file.

use crate::definition::diagnostic::{FindingCollector, SuggestedFix, TextSpan};

/// `text` in place of the scalar at `span`, quotes included.
pub(super) fn whole(report: &FindingCollector, span: TextSpan, text: String) -> Option<SuggestedFix> {
    let file = report.text();
    let raw = file.get(span.start..span.end)?;
    if raw.contains('\n') || raw.starts_with(['|', '>']) {
        return None;
    }
    let before = file[..span.start].chars().next_back().filter(|sign| matches!(sign, '"' | '\''));
    let is_inside = before.is_some() && file[span.end..].starts_with(['"', '\'']);
    let span = if is_inside { TextSpan { start: span.start - 1, end: span.end + 1 } } else { span };
    Some(SuggestedFix { span, text })
}

/// Another key of the step whose name stands at `span`.
pub(super) fn new_key(report: &FindingCollector, span: TextSpan, text: &str) -> Option<SuggestedFix> {
    let file = report.text();
    let line_start = file[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let key = file[line_start..span.start].rfind("step")?;
    let end = span.end + usize::from(file[span.end..].starts_with(['"', '\'']));
    let at = TextSpan { start: end, end };
    let is_flow = file[line_start..span.start].contains('{');
    let text = if is_flow { format!(", {text}") } else { format!("\n{}{text}", " ".repeat(key)) };
    Some(SuggestedFix { span: at, text })
}

/// Another key before the key at `span`, in the same map.
pub(super) fn beside_key(report: &FindingCollector, span: TextSpan, text: &str) -> Option<SuggestedFix> {
    let before = &report.text()[..span.start];
    if before.ends_with(['"', '\'']) {
        return None;
    }
    let is_flow = before.trim_end().ends_with(['{', ',']);
    let column = span.start - before.rfind('\n').map_or(0, |at| at + 1);
    let text = if is_flow { format!("{text}, ") } else { format!("{text}\n{}", " ".repeat(column)) };
    Some(SuggestedFix { span: TextSpan { start: span.start, end: span.start }, text })
}

/// Several edits as one; `None` if one of them cannot be made.
pub(super) fn all(report: &FindingCollector, edits: Vec<Option<SuggestedFix>>) -> Option<SuggestedFix> {
    let mut edits = edits.into_iter().collect::<Option<Vec<SuggestedFix>>>()?;
    edits.sort_by_key(|edit| edit.span);
    let mut edits = edits.into_iter();
    let first = edits.next()?;
    edits.try_fold(first, |all, next| {
        let between = report.text().get(all.span.end..next.span.start)?;
        let span = TextSpan { start: all.span.start, end: next.span.end };
        Some(SuggestedFix { span, text: format!("{}{between}{}", all.text, next.text) })
    })
}
