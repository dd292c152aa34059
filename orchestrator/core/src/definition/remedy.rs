//! What to write in place of an expression that can fail: each proposal holds where it is proposed. A test applies them all.

mod edits;

use super::{
    diagnostic::{Finding, Fix, Report, Span},
    steps::Draft,
    uses::{Place, Takes, Use},
};
use edits::{all, beside_key, new_key, whole};

/// What to write, for people and for programs.
pub(super) struct Remedy {
    help: String,
    fix: Option<Fix>,
}

/// What stands around an expression and can ask for what it needs.
pub(super) struct Around<'a> {
    pub(super) drafts: &'a [Draft],
    /// The trigger's `when`.
    pub(super) when: Option<&'a Use>,
    /// The word `key` of the trigger.
    pub(super) key: Option<Span>,
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

/// An expression that has a value only where `guard` holds; `None` where what has to be asked cannot be written.
pub(super) fn guarded(used: &Use, guard: Option<&str>, around: &Around<'_>, report: &Report) -> Remedy {
    let source = used.expression.source();
    match (used.at.takes, used.at.place, guard) {
        (Takes::Path, Place::Undo(_), _) => by_command(used, report),
        (Takes::Query(_), Place::Undo(_), _) => do_id(used, report),
        (_, _, None) => Remedy::only("ask in the same expression whether it is there and not null"),
        (_, Place::Key, Some(guard)) => kept_out(used, guard, None, around, report),
        (Takes::Text, Place::Undo(_), Some(guard)) => {
            other_source(used, &format!("{guard} ? {} : doId", within(source)), report)
        }
        (Takes::Truth, _, Some(guard)) => other_source(used, &format!("{guard} && {}", within(source)), report),
        (Takes::Anything, _, Some(guard)) => {
            other_source(used, &format!("{guard} ? {} : null", within(source)), report)
        }
        (Takes::Text, _, Some(guard)) => other_source(used, &format!("{guard} ? {} : ''", within(source)), report),
        (Takes::Path | Takes::Key | Takes::Query(_), place, Some(guard)) => {
            condition(used, place, guard, None, around, report)
        }
    }
}

/// An expression one of whose values is written as `null`.
pub(super) fn without_null(used: &Use, around: &Around<'_>, report: &Report) -> Remedy {
    let choice = used.expression.choice();
    let instead = match (used.at.takes, used.at.place) {
        (Takes::Path, Place::Undo(_)) => return by_command(used, report),
        (Takes::Query(_), Place::Undo(_)) => return do_id(used, report),
        (_, Place::Key) => {
            return match choice {
                Some(choice) => kept_out(used, &choice.guard, Some(&choice.value), around, report),
                None => Remedy::only(NO_KEY),
            };
        }
        (Takes::Path | Takes::Query(_), place) => {
            return match choice {
                Some(choice) => condition(used, place, &choice.guard, Some(&choice.value), around, report),
                None => Remedy::only("let the step run only where there is a value: write `if`"),
            };
        }
        (Takes::Text | Takes::Key, Place::Undo(_)) => "doId",
        (Takes::Truth, _) => "false",
        (Takes::Text, _) => "''",
        (Takes::Key, _) => "saga.key",
        (Takes::Anything, _) => "another value",
    };
    match choice {
        Some(choice) => other_source(used, &format!("{} ? {} : {instead}", choice.guard, choice.value), report),
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
    let text = quoted(&with_source(used, source));
    Remedy { help: format!("guard it in the same expression: {text}"), fix: whole(report, used.span, text) }
}

fn with_source(used: &Use, source: &str) -> String {
    used.scalar.replacen(used.expression.source(), source, 1)
}

/// Where nothing of an expression tells what to ask for.
const NO_KEY: &str = "all events without a value would share one key, and one saga: let `when` ask for it, so that they start nothing, or name a \
    field that every event has";

/// A key that is made up would be that of one saga for all events without a value: they start nothing. `value` is written in place of the
/// expression.
fn kept_out(used: &Use, guard: &str, value: Option<&str>, around: &Around<'_>, report: &Report) -> Remedy {
    let when = quoted(&match around.when {
        Some(when) => format!("{guard} && {}", within(when.expression.source())),
        None => guard.to_owned(),
    });
    let key = value.map(|value| quoted(&with_source(used, value)));
    let and_key = key.as_ref().map(|key| format!(" and {key} in `key`")).unwrap_or_default();
    let help = format!(
        "let events without it start nothing: when: {when}{and_key}; or require the field, or name one that every event has"
    );
    let asked = match around.when {
        Some(used) => whole(report, used.span, when),
        None => around.key.and_then(|key| beside_key(report, key, &format!("when: {when}"))),
    };
    let key = key.map(|key| whole(report, used.span, key));
    Remedy { help, fix: all(report, std::iter::once(asked).chain(key).collect()) }
}

/// What stands in a path or a key has no other value: the step runs only where there is one. `value` is written in place of the expression.
fn condition(
    used: &Use,
    place: Place,
    guard: &str,
    value: Option<&str>,
    around: &Around<'_>,
    report: &Report,
) -> Remedy {
    let (Place::If(at) | Place::Do(at) | Place::Check(at) | Place::Fallback(at) | Place::Undo(at)) = place else {
        return Remedy::only(format!("let `when` ask for it: when: {}", quoted(guard)));
    };
    let Some(draft) = around.drafts.get(at) else { return Remedy::only(guard) };
    let value = value.map(|value| quoted(&with_source(used, value)));
    let and_value = value.as_ref().map(|value| format!(", and {value}")).unwrap_or_default();
    let text = match &draft.condition {
        Some(condition) => quoted(&format!("{guard} && {}", within(condition.value.source()))),
        None => quoted(guard),
    };
    let help = format!("let the step run only where there is one: if: {text}{and_value}");
    let asked = match &draft.condition {
        Some(condition) => whole(report, condition.span, text),
        None => new_key(report, draft.name.span, &format!("if: {text}")),
    };
    let value = value.map(|value| whole(report, used.span, value));
    Remedy { help, fix: all(report, std::iter::once(asked).chain(value).collect()) }
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
