//! What to write in place of an expression that can fail: each proposal holds where it is proposed. A test applies them all.

use super::{
    diagnostic::{Finding, Fix, Report, Span},
    steps::Draft,
    uses::{Place, Takes, Use},
};

/// What to write, for people and for programs.
pub(super) struct Remedy {
    help: String,
    fix: Option<Fix>,
}

impl Remedy {
    pub(super) fn only(help: impl Into<String>) -> Remedy {
        Remedy { help: help.into(), fix: None }
    }

    pub(super) fn of(self, finding: Finding<'_>) {
        let finding = finding.help(self.help);
        if let Some(fix) = self.fix {
            finding.fix(fix);
        }
    }
}

/// An expression that has a value only where all of `guards` hold.
pub(super) fn guarded(used: &Use, guards: &[String], drafts: &[Draft], report: &Report) -> Remedy {
    let guard = guards.join(" && ");
    let source = used.expression.source();
    match (used.at.takes, used.at.place) {
        (Takes::Path, Place::Undo(_)) => by_command(used, report),
        (Takes::Query(_), Place::Undo(_)) => do_id(used, report),
        (Takes::Text, Place::Undo(_)) => other_source(used, &format!("{guard} ? {} : doId", within(source)), report),
        (Takes::Truth, _) => other_source(used, &format!("{guard} && {}", within(source)), report),
        (Takes::Anything, _) => other_source(used, &format!("{guard} ? {} : null", within(source)), report),
        (Takes::Text, _) => other_source(used, &format!("{guard} ? {} : ''", within(source)), report),
        (Takes::Path | Takes::Key | Takes::Query(_), place) => condition(place, &guard, drafts, report),
    }
}

/// An expression one of whose values is written as `null`.
pub(super) fn without_null(used: &Use, report: &Report) -> Remedy {
    let instead = match (used.at.takes, used.at.place) {
        (Takes::Path, Place::Undo(_)) => return by_command(used, report),
        (Takes::Query(_), Place::Undo(_)) => return do_id(used, report),
        (Takes::Text | Takes::Key, Place::Undo(_)) => "doId",
        (Takes::Truth, _) => "false",
        (Takes::Text, _) => "''",
        (Takes::Anything | Takes::Path | Takes::Key | Takes::Query(_), _) => "'none'",
    };
    match used.expression.source().strip_suffix("null").filter(|before| before.trim_end().ends_with(':')) {
        Some(before) => other_source(used, &format!("{before}{instead}"), report),
        None => Remedy::only(format!("write another value in place of null, for example {instead}")),
    }
}

/// The effect is found by the command id of its do, which is known whatever became of the do.
pub(super) fn by_command(used: &Use, report: &Report) -> Remedy {
    let scalar = used.scalar.as_str();
    let unsafe_at = scalar.match_indices("${").map(|(at, _)| at).find(|at| {
        let inside = scalar[*at..].split('}').next().unwrap_or_default();
        ["result", "null", "input"].iter().any(|word| inside.contains(word))
    });
    let at = unsafe_at.or_else(|| scalar.find(used.expression.source())).unwrap_or(scalar.len());
    let before = scalar[..at].rfind('/').map_or(scalar, |slash| &scalar[..=slash]);
    let target = quoted(&format!("{before}by-command/${{ doId }}"));
    let help = format!("find the effect by the command id of the do, which is always known: {target}");
    Remedy { help, fix: whole(report, used.span, target) }
}

fn do_id(used: &Use, report: &Report) -> Remedy {
    let text = quoted("${ doId }");
    let help = format!("find the effect by the command id of the do, which is always known: {text}");
    Remedy { help, fix: whole(report, used.span, text) }
}

fn other_source(used: &Use, source: &str, report: &Report) -> Remedy {
    let text = quoted(&used.scalar.replacen(used.expression.source(), source, 1));
    Remedy { help: format!("guard it in the same expression: {text}"), fix: whole(report, used.span, text) }
}

/// What stands in a path or a key has no other value: the step runs, or the saga starts, only where there is one.
fn condition(place: Place, guard: &str, drafts: &[Draft], report: &Report) -> Remedy {
    match place {
        Place::When | Place::Key | Place::Output => Remedy::only(format!("let `when` ask for it: when: {guard}")),
        Place::If(at) | Place::Do(at) | Place::Check(at) | Place::Fallback(at) | Place::Undo(at) => {
            let Some(draft) = drafts.get(at) else { return Remedy::only(guard) };
            match &draft.condition {
                Some(condition) => {
                    let text = quoted(&format!("{guard} && {}", within(condition.value.source())));
                    let help = format!("let the step run only where there is one: if: {text}");
                    Remedy { help, fix: whole(report, condition.span, text) }
                }
                None => {
                    let text = format!("if: {}", quoted(guard));
                    let help = format!("let the step run only where there is one: {text}");
                    Remedy { help, fix: new_key(report, draft.name.span, &text) }
                }
            }
        }
    }
}

/// An expression as a part of another one.
fn within(source: &str) -> String {
    let is_path = source.chars().all(|sign| sign.is_alphanumeric() || "._[]'\"".contains(sign));
    if is_path { source.to_owned() } else { format!("({source})") }
}

/// A text as YAML reads it everywhere: expressions hold `: ` and ` #`, which end an unquoted text.
pub(super) fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) { format!("'{}'", text.replace('\'', "''")) } else { format!("\"{text}\"") }
}

/// `text` in place of the scalar at `span`, quotes included.
fn whole(report: &Report, span: Span, text: String) -> Option<Fix> {
    let file = report.text();
    let raw = file.get(span.start..span.end)?;
    if raw.contains('\n') || raw.starts_with(['|', '>']) {
        return None;
    }
    let before = file[..span.start].chars().next_back().filter(|sign| matches!(sign, '"' | '\''));
    let is_inside = before.is_some() && file[span.end..].starts_with(['"', '\'']);
    let span = if is_inside { Span { start: span.start - 1, end: span.end + 1 } } else { span };
    Some(Fix { span, text })
}

/// Another key of the step whose name stands at `span`.
fn new_key(report: &Report, span: Span, text: &str) -> Option<Fix> {
    let file = report.text();
    let line_start = file[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let key = file[line_start..span.start].rfind("step")?;
    let end = span.end + usize::from(file[span.end..].starts_with(['"', '\'']));
    let at = Span { start: end, end };
    let is_flow = file[line_start..span.start].contains('{');
    let text = if is_flow { format!(", {text}") } else { format!("\n{}{text}", " ".repeat(key)) };
    Some(Fix { span: at, text })
}
