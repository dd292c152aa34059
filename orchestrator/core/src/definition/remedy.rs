//! What to write in place of an expression that can fail: each proposal holds where it is proposed. A test applies them
//! all.

mod edits;

use super::{
    diagnostic::{FindingBuilder, FindingCollector, SuggestedFix, TextSpan},
    draft::StepDraft,
    quoting::quoted,
    uses::{AcceptedValues, ExpressionPlace, ExpressionUse},
};
use edits::{all, beside_key, new_key, whole};

/// What to write, for people and for programs.
pub(super) struct FindingRemedy {
    help: String,
    fix: Option<SuggestedFix>,
}

/// What stands around an expression and can ask for what it needs.
pub(super) struct RemedyContext<'a> {
    pub(super) drafts: &'a [StepDraft],
    /// The trigger's `when`, which an edit may extend; `None` if there is none.
    pub(super) when: Option<&'a ExpressionUse>,
    /// The place of the word `key` of the trigger.
    pub(super) key: Option<TextSpan>,
}

impl FindingRemedy {
    pub(super) fn only(help: impl Into<String>) -> FindingRemedy {
        FindingRemedy { help: help.into(), fix: None }
    }

    pub(super) fn of(self, finding: FindingBuilder<'_>) {
        let finding = finding.help(self.help);
        if let Some(fix) = self.fix {
            finding.fix(fix);
        }
    }
}

/// An expression that has a value only where `guard` holds; `None` where what has to be asked cannot be written.
pub(super) fn guarded(
    used: &ExpressionUse,
    guard: Option<&str>,
    around: &RemedyContext<'_>,
    report: &FindingCollector,
) -> FindingRemedy {
    let source = used.expression.source();
    match (used.at.takes, used.at.place, guard) {
        (AcceptedValues::Path, ExpressionPlace::Undo(_), _) => by_command(used, report),
        (AcceptedValues::Query(_), ExpressionPlace::Undo(_), _) => do_id(used, report),
        (_, _, None) => FindingRemedy::only("test in the same expression that it exists and is not null"),
        (_, ExpressionPlace::Key, Some(guard)) => kept_out(used, guard, None, around, report),
        (AcceptedValues::Text, ExpressionPlace::Undo(_), Some(guard)) => {
            other_source(used, &format!("{guard} ? {} : doId", within(source)), report)
        }
        (AcceptedValues::Truth, _, Some(guard)) => {
            other_source(used, &format!("{guard} && {}", within(source)), report)
        }
        (AcceptedValues::Anything, _, Some(guard)) => {
            other_source(used, &format!("{guard} ? {} : null", within(source)), report)
        }
        (AcceptedValues::Text, _, Some(guard)) => {
            other_source(used, &format!("{guard} ? {} : ''", within(source)), report)
        }
        (AcceptedValues::Path | AcceptedValues::Key | AcceptedValues::Query(_), place, Some(guard)) => {
            condition(used, place, guard, None, around, report)
        }
    }
}

/// An expression one of whose values is written as `null`.
pub(super) fn without_null(
    used: &ExpressionUse,
    around: &RemedyContext<'_>,
    report: &FindingCollector,
) -> FindingRemedy {
    let choice = used.expression.choice();
    let instead = match (used.at.takes, used.at.place) {
        (AcceptedValues::Path, ExpressionPlace::Undo(_)) => return by_command(used, report),
        (AcceptedValues::Query(_), ExpressionPlace::Undo(_)) => return do_id(used, report),
        (_, ExpressionPlace::Key) => {
            return match choice {
                Some(choice) => kept_out(used, &choice.guard, Some(&choice.value), around, report),
                None => FindingRemedy::only(NO_KEY),
            };
        }
        (AcceptedValues::Path | AcceptedValues::Query(_), place) => {
            return match choice {
                Some(choice) => condition(used, place, &choice.guard, Some(&choice.value), around, report),
                None => FindingRemedy::only("let the step run only if there is a value: write `if`"),
            };
        }
        (AcceptedValues::Text | AcceptedValues::Key, ExpressionPlace::Undo(_)) => "doId",
        (AcceptedValues::Truth, _) => "false",
        (AcceptedValues::Text, _) => "''",
        (AcceptedValues::Key, _) => "saga.key",
        (AcceptedValues::Anything, _) => "another value",
    };
    match choice {
        Some(choice) => other_source(used, &format!("{} ? {} : {instead}", choice.guard, choice.value), report),
        None => FindingRemedy::only(format!("write another value in place of null, for example {instead}")),
    }
}

/// The effect is found by the command id of its do, which is known whatever became of the do.
pub(super) fn by_command(used: &ExpressionUse, report: &FindingCollector) -> FindingRemedy {
    let scalar = used.scalar.as_str();
    let unsafe_at = scalar.match_indices("${").map(|(at, _)| at).find(|at| {
        let inside = scalar[*at..].split('}').next().unwrap_or_default();
        ["result", "null", "input"].iter().any(|word| inside.contains(word))
    });
    let at = unsafe_at.or_else(|| scalar.find(used.expression.source())).unwrap_or(scalar.len());
    let before = scalar[..at].rfind('/').map_or(scalar, |slash| &scalar[..=slash]);
    let target = quoted(&format!("{before}by-command/${{ doId }}"));
    let help = format!("find the effect by the command id of the do, which is always known: {target}");
    FindingRemedy { help, fix: whole(report, used.span, target) }
}

fn do_id(used: &ExpressionUse, report: &FindingCollector) -> FindingRemedy {
    let text = quoted("${ doId }");
    let help = format!("find the effect by the command id of the do, which is always known: {text}");
    FindingRemedy { help, fix: whole(report, used.span, text) }
}

fn other_source(used: &ExpressionUse, source: &str, report: &FindingCollector) -> FindingRemedy {
    let text = quoted(&with_source(used, source));
    FindingRemedy { help: format!("guard it in the same expression: {text}"), fix: whole(report, used.span, text) }
}

fn with_source(used: &ExpressionUse, source: &str) -> String {
    used.scalar.replacen(used.expression.source(), source, 1)
}

/// Where nothing of an expression tells what to ask for.
const NO_KEY: &str = "all events without a value would get the same key and start one saga: write a `when` that excludes these events, or name a \
    field that every event has";

/// A key that is made up would be that of one saga for all events without a value: they start nothing. `value` is
/// written in place of the expression.
fn kept_out(
    used: &ExpressionUse,
    guard: &str,
    value: Option<&str>,
    around: &RemedyContext<'_>,
    report: &FindingCollector,
) -> FindingRemedy {
    let when = quoted(&match around.when {
        Some(when) => format!("{guard} && {}", within(when.expression.source())),
        None => guard.to_owned(),
    });
    let key = value.map(|value| quoted(&with_source(used, value)));
    let and_key = key.as_ref().map(|key| format!(" and {key} in `key`")).unwrap_or_default();
    let help = format!(
        "let events without it start nothing: when: {when}{and_key}; or require the field, or name one that every \
            event has"
    );
    let asked = match around.when {
        Some(used) => whole(report, used.span, when),
        None => around.key.and_then(|key| beside_key(report, key, &format!("when: {when}"))),
    };
    let key = key.map(|key| whole(report, used.span, key));
    FindingRemedy { help, fix: all(report, std::iter::once(asked).chain(key).collect()) }
}

/// What stands in a path or a key has no other value: the step runs only where there is one. `value` is written in
/// place of the expression.
fn condition(
    used: &ExpressionUse,
    place: ExpressionPlace,
    guard: &str,
    value: Option<&str>,
    around: &RemedyContext<'_>,
    report: &FindingCollector,
) -> FindingRemedy {
    let (ExpressionPlace::If(at)
    | ExpressionPlace::Do(at)
    | ExpressionPlace::Check(at)
    | ExpressionPlace::Fallback(at)
    | ExpressionPlace::Undo(at)) = place
    else {
        return FindingRemedy::only(format!("let `when` ask for it: when: {}", quoted(guard)));
    };
    let Some(draft) = around.drafts.get(at) else { return FindingRemedy::only(guard) };
    let value = value.map(|value| quoted(&with_source(used, value)));
    let and_value = value.as_ref().map(|value| format!(", and {value}")).unwrap_or_default();
    let text = match &draft.condition {
        Some(condition) => quoted(&format!("{guard} && {}", within(condition.value.source()))),
        None => quoted(guard),
    };
    let help = format!("let the step run only if there is one: if: {text}{and_value}");
    let asked = match &draft.condition {
        Some(condition) => whole(report, condition.span, text),
        None => new_key(report, draft.name.span, &format!("if: {text}")),
    };
    let value = value.map(|value| whole(report, used.span, value));
    FindingRemedy { help, fix: all(report, std::iter::once(asked).chain(value).collect()) }
}

/// An expression as a part of another one.
fn within(source: &str) -> String {
    let is_path = source.chars().all(|sign| sign.is_alphanumeric() || "._[]'\"".contains(sign));
    if is_path { source.to_owned() } else { format!("({source})") }
}
