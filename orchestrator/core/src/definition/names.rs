//! Proof that every expression reads only what is there.

use super::{
    diagnostic::{Code, FindingCollector, FindingSeverity, TextSpan, did_you_mean, nearest},
    draft::StepDraft,
    event_schema::EventSchema,
    given::EstablishedFacts,
    graph::StepGraph,
    model::StepAction,
    remedy,
    uses::{ExpressionPlace, ExpressionUse},
    values, wishes,
};
use crate::expression::{
    ANY_ELEMENT, FUNCTIONS, FunctionCall, METHODS, NameRead, PathFact, UnfitKind, ValueTemplate, question, spelled,
};
use std::collections::BTreeSet;

/// What the expressions of a definition are proved against.
pub(crate) struct ExpressionChecker<'a> {
    pub(crate) drafts: &'a [StepDraft],
    /// Without it the order of the steps is not known, and nothing is said about it.
    pub(crate) graph: Option<&'a StepGraph>,
    /// The schema of the trigger's event; `None` if the engine has none.
    pub(crate) event: Option<EventSchema<'a>>,
    /// The facts that hold at a place, whatever the expression there says itself.
    pub(crate) given: EstablishedFacts,
    /// The trigger's `when`, for remedies that extend it; `None` if there is none.
    pub(crate) when: Option<&'a ExpressionUse>,
    /// Where the trigger's `key` stands, the word itself.
    pub(crate) key: Option<TextSpan>,
}

const ALWAYS: [&str; 2] = ["event", "record"];
const IN_STEPS: [&str; 4] = ["event", "record", "saga", "steps"];
const AFTER_DO: [&str; 7] = ["event", "record", "saga", "steps", "input", "result", "doId"];
const RECORD: [&str; 6] = ["topic", "partition", "offset", "key", "timestamp", "headers"];
const SAGA: [&str; 4] = ["id", "name", "key", "startedAt"];
/// Names of types: `type(x) == int`.
const TYPES: [&str; 11] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type", "google"];

/// What a field of `record` can be that not every place takes.
pub(super) fn of_record(field: &str) -> Option<UnfitKind> {
    match field {
        "key" | "timestamp" => Some(UnfitKind::Null),
        "headers" => Some(UnfitKind::Map),
        _ => None,
    }
}

fn visible(place: ExpressionPlace) -> &'static [&'static str] {
    match place {
        ExpressionPlace::When | ExpressionPlace::Key => &ALWAYS,
        ExpressionPlace::If(_) | ExpressionPlace::Do(_) | ExpressionPlace::Fallback(_) | ExpressionPlace::Output => {
            &IN_STEPS
        }
        ExpressionPlace::Check(_) | ExpressionPlace::Undo(_) => &AFTER_DO,
    }
}

pub(super) fn step_of(place: ExpressionPlace) -> Option<usize> {
    match place {
        ExpressionPlace::When | ExpressionPlace::Key | ExpressionPlace::Output => None,
        ExpressionPlace::If(at)
        | ExpressionPlace::Do(at)
        | ExpressionPlace::Check(at)
        | ExpressionPlace::Fallback(at)
        | ExpressionPlace::Undo(at) => Some(at),
    }
}

impl ExpressionChecker<'_> {
    /// Reports what `used` reads and calls that is not there.
    pub(crate) fn prove(&self, used: &ExpressionUse, report: &mut FindingCollector) {
        for call in unknown_calls(used) {
            let help = function_help(&call.name, call.on_value);
            let message = format!("there is no function `{}`", call.name);
            report.error(Code::UnknownFunction, at(report, used, &call.name), message).help(help);
        }
        for wrong in used.expression.wrong_literals() {
            let span = values::part(report, used.span, &wrong.text, 0, wrong.text.len());
            report.error(Code::Expression, span, wrong.message).help(wrong.help);
        }
        let reads = used.expression.reads();
        for read in &reads {
            self.read(used, read, report);
        }
        let missing: Vec<OptionalRead<'_>> = reads.iter().filter_map(|read| self.missing(used, read)).collect();
        self.unproven(used, &missing, report);
        if missing.iter().all(|missing| missing.severity == FindingSeverity::Warning) && !self.kinds(used, report) {
            self.fits(used, report);
        }
    }

    /// What need not be there has to be asked for, all of it in one expression.
    fn unproven(&self, used: &ExpressionUse, missing: &[OptionalRead<'_>], report: &mut FindingCollector) {
        let guards: Option<BTreeSet<String>> = missing.iter().map(|missing| missing.guard.clone()).collect();
        let guards = guards.map(|all| all.into_iter().collect::<Vec<_>>().join(" && "));
        for OptionalRead { word, message, severity, .. } in missing {
            let remedy = remedy::guarded(used, guards.as_deref(), &self.around(), report);
            let span = at(report, used, word);
            remedy.of(match severity {
                FindingSeverity::Error => report.error(Code::UnprovenRead, span, message.clone()),
                FindingSeverity::Warning => report.warning(Code::UnprovenRead, span, message.clone()),
            });
        }
    }

    fn missing<'r>(&self, used: &ExpressionUse, read: &'r NameRead) -> Option<OptionalRead<'r>> {
        match read.path.first().map(String::as_str)? {
            "steps" => self.unproven_step(used, read),
            "event" => self.missing_field(used, read),
            "record" => self.missing_header(used, read),
            "result" => unproven_result(used, read),
            _ => None,
        }
    }

    pub(super) fn around(&self) -> remedy::RemedyContext<'_> {
        remedy::RemedyContext { drafts: self.drafts, when: self.when, key: self.key }
    }

    fn knows(&self, used: &ExpressionUse, read: &NameRead, fact: &PathFact) -> bool {
        read.known.contains(fact) || self.given.at(used.at.place).contains(fact)
    }

    fn read(&self, used: &ExpressionUse, read: &NameRead, report: &mut FindingCollector) {
        let Some(root) = read.path.first().map(String::as_str) else { return };
        if !visible(used.at.place).contains(&root) {
            if !TYPES.contains(&root) {
                self.unknown_root(used, root, report);
            }
            return;
        }
        match root {
            "event" => self.event(used, read, report),
            "record" => fixed(used, read, &RECORD, report),
            "saga" => fixed(used, read, &SAGA, report),
            "steps" => self.step(used, read, report),
            "input" => self.input(used, read, report),
            "result" => {}
            _ => fixed(used, read, &[], report),
        }
    }

    fn unknown_root(&self, used: &ExpressionUse, root: &str, report: &mut FindingCollector) {
        let span = at(report, used, root);
        if AFTER_DO.contains(&root) {
            let where_known = match root {
                "input" | "result" | "doId" => "it is known in `check` and `undo` only",
                _ => "`when` and `key` see `event` and `record` only",
            };
            report.error(Code::UnknownName, span, format!("`{root}` is not known here")).help(where_known);
            return;
        }
        let known = visible(used.at.place);
        let help = if self.drafts.iter().any(|draft| draft.name.value == root) {
            format!("write `steps.{root}` for the result of that step")
        } else {
            did_you_mean(root, known.iter().copied()).unwrap_or_else(|| format!("known here are {}", known.join(", ")))
        };
        report.error(Code::UnknownName, span, format!("there is no name `{root}`")).help(help);
    }

    fn event(&self, used: &ExpressionUse, read: &NameRead, report: &mut FindingCollector) {
        let Some(event) = &self.event else { return };
        let Err(missing) = event.follow(&read.path[1..]) else { return };
        let wrong = read.path.len() - missing.depth;
        let (parent, field) = (text(&read.path[..wrong]), &read.path[wrong]);
        let help =
            did_you_mean(field, missing.known.iter().copied()).unwrap_or_else(|| match missing.known.as_slice() {
                [] => format!("`{parent}` is a single value"),
                known => format!("`{parent}` has {}", known.join(", ")),
            });
        let message = format!("by its schema `{parent}` has no field `{field}`");
        let span = at(report, used, field);
        let finding = if missing.is_certain {
            report.error(Code::UnknownField, span, message)
        } else {
            report.warning(Code::UnknownField, span, message)
        };
        finding.help(help);
    }

    /// What the schema of an event does not require may be missing.
    fn missing_field<'r>(&self, used: &ExpressionUse, read: &'r NameRead) -> Option<OptionalRead<'r>> {
        let length = 1 + self.event.as_ref()?.may_be_missing(&read.path[1..])?;
        let field = &read.path[..length];
        let is_asked = read.asks_presence && read.path.len() == length;
        let speaks_of_it = |fact: &PathFact| match fact {
            PathFact::Present(path) | PathFact::NotNull(path) => path.starts_with(field),
        };
        if is_asked || read.known.iter().any(speaks_of_it) || self.given.at(used.at.place).iter().any(speaks_of_it) {
            return None;
        }
        let message = format!("by its schema `{}` is optional", text(field));
        let guard = askable(field).map(|_| question(field));
        Some(OptionalRead { guard, word: field.last()?, message, severity: FindingSeverity::Warning })
    }

    /// A record has the headers that its producer gave it.
    fn missing_header<'r>(&self, used: &ExpressionUse, read: &'r NameRead) -> Option<OptionalRead<'r>> {
        let [_, headers, name] = read.path.get(..3)? else { return None };
        let fact = PathFact::Present(read.path[..3].to_vec());
        let is_null_asked = self.knows(used, read, &PathFact::NotNull(read.path[..3].to_vec()));
        if headers != "headers" || read.asks_presence || is_null_asked || self.knows(used, read, &fact) {
            return None;
        }
        let message = format!("a record can come without the header `{name}`");
        Some(OptionalRead {
            guard: Some(question(&read.path[..3])),
            word: name,
            message,
            severity: FindingSeverity::Warning,
        })
    }

    fn step(&self, used: &ExpressionUse, read: &NameRead, report: &mut FindingCollector) {
        let Some(name) = read.path.get(1) else {
            let help = "write steps.<name>, as in steps.reserve";
            report.error(Code::UnknownName, at(report, used, "steps"), "`steps` cannot be read as a whole").help(help);
            return;
        };
        let Some(step) = self.drafts.iter().position(|draft| draft.name.value == *name) else {
            let help = did_you_mean(name, self.drafts.iter().map(|draft| draft.name.value.as_str()));
            let help = help.unwrap_or_else(|| "name a step of this saga".to_owned());
            report.error(Code::UnknownName, at(report, used, name), format!("there is no step `{name}`")).help(help);
            return;
        };
        if step_of(used.at.place) == Some(step) {
            let help = "write `result` in its `check` and `undo`";
            report
                .error(Code::UnknownName, at(report, used, name), "a step cannot read its own result under `steps`")
                .help(help);
        } else if let Some(action) =
            self.drafts[step].action.as_ref().and_then(without_result).filter(|_| read.path.len() > 2)
        {
            report
                .error(Code::UnknownName, at(report, used, name), format!("`{name}` {action} and has no result"))
                .help("read something else");
        }
    }

    /// A step that need not have succeeded has to be asked for with `has(…)`.
    fn unproven_step<'r>(&self, used: &ExpressionUse, read: &'r NameRead) -> Option<OptionalRead<'r>> {
        let word = read.path.get(1)?;
        let step = self.drafts.iter().position(|draft| draft.name.value == *word)?;
        let draft = &self.drafts[step];
        let is_question = read.asks_presence && read.path.len() == 2;
        let has_result = draft.action.as_ref().is_none_or(|action| without_result(action).is_none());
        if is_question || !(has_result || read.path.len() == 2) || step_of(used.at.place) == Some(step) {
            return None;
        }
        if self.knows(used, read, &PathFact::Present(vec!["steps".to_owned(), word.clone()])) {
            return None;
        }
        let reason = match step_of(used.at.place) {
            Some(reader) if self.graph.is_some_and(|graph| !graph.precedes(step, reader)) => {
                "may still run when this step starts"
            }
            Some(_) | None if draft.optional.is_some() => "is optional",
            Some(_) | None if draft.condition.is_some() => "has an `if`",
            Some(_) | None => return None,
        };
        let message = format!("step `{word}` {reason}, so it may have no result");
        Some(OptionalRead {
            guard: Some(format!("has(steps.{word})")),
            word,
            message,
            severity: FindingSeverity::Error,
        })
    }

    fn input(&self, used: &ExpressionUse, read: &NameRead, report: &mut FindingCollector) {
        let (Some(field), Some(step)) = (read.path.get(1), step_of(used.at.place)) else { return };
        let with = match &self.drafts[step].action {
            Some(StepAction::Call(call)) => call.with.as_ref(),
            Some(StepAction::Publish { with, .. }) => Some(with),
            Some(StepAction::Wait(_)) | None => return,
        };
        let known: Vec<&str> = match with {
            None => Vec::new(),
            Some(ValueTemplate::Map(entries)) => entries.iter().map(|(key, _)| key.as_str()).collect(),
            Some(ValueTemplate::Literal(value)) => {
                value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
            }
            Some(ValueTemplate::Whole(_) | ValueTemplate::Text(_) | ValueTemplate::List(_)) => return,
        };
        if !known.contains(&field.as_str()) {
            let help =
                did_you_mean(field, known.iter().copied()).unwrap_or_else(|| "add it to the step's `with`".to_owned());
            report
                .error(
                    Code::UnknownName,
                    at(report, used, field),
                    format!("the input of the step has no field `{field}`"),
                )
                .help(help);
        }
    }
}

fn without_result(action: &StepAction) -> Option<&'static str> {
    match action {
        StepAction::Call(_) => None,
        StepAction::Wait(_) => Some("waits"),
        StepAction::Publish { .. } => Some("publishes"),
    }
}

/// The calls in an expression of functions that do not exist.
pub(super) fn unknown_calls(used: &ExpressionUse) -> impl Iterator<Item = FunctionCall> {
    let is_known = |call: &FunctionCall| {
        let known = if call.on_value { METHODS } else { FUNCTIONS };
        known.contains(&call.name.as_str())
    };
    used.expression.calls().into_iter().filter(move |call| !is_known(call))
}

/// What an expression reads and need not be there.
struct OptionalRead<'r> {
    /// What has to be asked for it, where that can be written.
    guard: Option<String>,
    word: &'r str,
    message: String,
    severity: FindingSeverity,
}

/// In an undo, `result` is null after an unknown outcome.
fn unproven_result<'r>(used: &ExpressionUse, read: &'r NameRead) -> Option<OptionalRead<'r>> {
    let asked = read.known.contains(&PathFact::NotNull(vec!["result".to_owned()]));
    if read.path.len() == 1 || asked || !matches!(used.at.place, ExpressionPlace::Undo(_)) {
        return None;
    }
    let message = "`result` is null after an unknown outcome".to_owned();
    let guard = Some("result != null".to_owned());
    Some(OptionalRead { guard, word: &read.path[0], message, severity: FindingSeverity::Error })
}

/// Reports a field that is not in `known`, of a name whose fields are fixed.
fn fixed(used: &ExpressionUse, read: &NameRead, known: &[&str], report: &mut FindingCollector) {
    let (root, Some(field)) = (&read.path[0], read.path.get(1)) else { return };
    if known.contains(&field.as_str()) {
        return;
    }
    let list =
        || if known.is_empty() { format!("`{root}` is a string") } else { format!("it has {}", known.join(", ")) };
    let help = did_you_mean(field, known.iter().copied()).unwrap_or_else(list);
    report.error(Code::UnknownName, at(report, used, field), format!("`{root}` has no field `{field}`")).help(help);
}

/// A path, written as an expression writes it.
pub(super) fn text(path: &[String]) -> String {
    spelled(path)
}

/// A path as an expression can ask for it; `None` where it leads through the elements that a macro goes through.
pub(super) fn askable(path: &[String]) -> Option<String> {
    (!path.iter().any(|name| name == ANY_ELEMENT)).then(|| spelled(path))
}

/// What to write for a function that does not exist.
fn function_help(name: &str, on_value: bool) -> String {
    if let Some(help) = wishes::function(name) {
        return help;
    }
    let (here, there) = if on_value { (METHODS, FUNCTIONS) } else { (FUNCTIONS, METHODS) };
    if let Some(help) = did_you_mean(name, here.iter().copied()) {
        return help;
    }
    match (nearest(name, there.iter().copied()), on_value) {
        (Some(other), true) => format!("did you mean `{other}(…)`?"),
        (Some(other), false) => format!("did you mean `value.{other}(…)`?"),
        (None, _) => format!("there are {}", here.join(", ")),
    }
}

/// The place of `word` in the file; that of the whole expression if it does not occur.
pub(super) fn at(report: &FindingCollector, used: &ExpressionUse, word: &str) -> TextSpan {
    let source = used.expression.source();
    match used.expression.offset_of(word) {
        Some(offset) => values::part(report, used.span, source, offset, word.len()),
        None => values::part(report, used.span, source, 0, source.len()),
    }
}
