//! What the parts of a value can be: followed through choices, lists, maps and macros.

use super::{UnfitKind, UnfitRisk};
use crate::expression::{
    ANY_ELEMENT, element,
    evaluate::METER,
    exact,
    reads::{self, PathFact},
};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, MapExpr, operators};
use std::cell::Cell;

/// Most nodes that are looked at for one expression: variables of nested macros lead back to their lists again and
/// again. Beyond it nothing is known, and nothing is refused.
const MOST_LOOKS: usize = 100_000;

/// One step from a value into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccessStep<'e> {
    Field(&'e str),
    Element(usize),
    /// Any element of a list, or any value of a map.
    Any,
    /// What a macro goes through: elements of a list, and keys of a map.
    Each,
}

impl<'e> AccessStep<'e> {
    pub(super) fn of_name(name: &'e str) -> AccessStep<'e> {
        match element(name) {
            Some(Some(at)) => AccessStep::Element(at),
            Some(None) => AccessStep::Any,
            None => AccessStep::Field(name),
        }
    }

    fn of_index(index: &'e IdedExpr) -> AccessStep<'e> {
        match &index.expr {
            Expr::Literal(LiteralValue::String(name)) => AccessStep::Field(name.inner()),
            Expr::Literal(LiteralValue::Int(at)) => {
                usize::try_from(*at.inner()).map_or(AccessStep::Any, AccessStep::Element)
            }
            Expr::Literal(LiteralValue::UInt(at)) => {
                usize::try_from(*at.inner()).map_or(AccessStep::Any, AccessStep::Element)
            }
            _ => AccessStep::Any,
        }
    }

    fn name(self) -> String {
        match self {
            AccessStep::Field(name) => name.to_owned(),
            AccessStep::Element(at) => format!("[{at}]"),
            AccessStep::Any | AccessStep::Each => ANY_ELEMENT.to_owned(),
        }
    }
}

/// A variable of a macro, and the list or map whose elements it stands for.
struct MacroVariable<'e> {
    name: &'e str,
    range: Option<&'e IdedExpr>,
    /// What holds where the range is evaluated.
    known: Vec<PathFact>,
    /// How many variables the range sees.
    outside: usize,
}

/// The values of the parts of one expression.
pub(super) struct ValueAnalysis<'e> {
    read: &'e dyn Fn(&[String]) -> Option<UnfitKind>,
    variables: Vec<MacroVariable<'e>>,
    looks: Cell<usize>,
}

impl<'e> ValueAnalysis<'e> {
    pub(super) fn new(read: &'e dyn Fn(&[String]) -> Option<UnfitKind>) -> ValueAnalysis<'e> {
        ValueAnalysis { read, variables: Vec::new(), looks: Cell::new(MOST_LOOKS) }
    }

    /// Goes into a macro; what is known of names that its variables hide is known no more.
    pub(super) fn enter(&mut self, all: &'e ComprehensionExpr, known: &[PathFact]) -> Vec<PathFact> {
        let outside = self.variables.len();
        for name in [Some(&all.iter_var), all.iter_var2.as_ref(), Some(&all.accu_var)].into_iter().flatten() {
            let is_element = all.iter_var2.is_none() && *name == all.iter_var;
            let range = is_element.then_some(&all.iter_range);
            self.variables.push(MacroVariable { name, range, known: known.to_vec(), outside });
        }
        let is_hidden = |fact: &PathFact| {
            let (PathFact::Present(path) | PathFact::NotNull(path)) = fact;
            path.first().is_some_and(|root| self.variables[outside..].iter().any(|variable| variable.name == root))
        };
        known.iter().filter(|fact| !is_hidden(fact)).cloned().collect()
    }

    /// Whether a macro that is under way calls something so.
    pub(super) fn is_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|variable| variable.name == name)
    }

    pub(super) fn leave(&mut self) {
        let outside = self.variables.last().map_or(0, |last| last.outside);
        self.variables.truncate(outside);
    }

    /// What can be at `path` of the value of `node`.
    pub(super) fn of(&mut self, node: &'e IdedExpr, path: &[AccessStep<'_>], known: &[PathFact]) -> Vec<UnfitRisk> {
        let Some(left) = self.looks.get().checked_sub(1) else { return Vec::new() };
        self.looks.set(left);
        if let Some(read) = reads::path_of(node) {
            return self.of_read(read, path, known);
        }
        match &node.expr {
            Expr::Literal(literal) if path.is_empty() => of_literal(literal),
            Expr::Call(call) => self.of_call(call, path, known),
            Expr::Select(select) if !select.test => {
                self.of(&select.operand, &behind(AccessStep::Field(&select.field), path), known)
            }
            Expr::List(list) => match path.split_first() {
                None => written(UnfitKind::List),
                Some((step, rest)) => self.of_all(elements(&list.elements, *step), rest, known),
            },
            Expr::Map(map) => match path.split_first() {
                None => written(UnfitKind::Map),
                Some((step, rest)) => self.of_all(entries(map, *step), rest, known),
            },
            Expr::Comprehension(all) => self.of_macro(all, path, known),
            Expr::Select(_) | Expr::Literal(_) | Expr::Unspecified | Expr::Ident(_) | Expr::Struct(_) => Vec::new(),
        }
    }

    fn of_all(&mut self, nodes: Vec<&'e IdedExpr>, path: &[AccessStep<'_>], known: &[PathFact]) -> Vec<UnfitRisk> {
        nodes.into_iter().flat_map(|node| self.of(node, path, known)).collect()
    }

    fn of_read(&mut self, mut read: Vec<String>, path: &[AccessStep<'_>], known: &[PathFact]) -> Vec<UnfitRisk> {
        read.extend(path.iter().map(|step| step.name()));
        let is_asked = known.contains(&PathFact::NotNull(read.clone()));
        let root = &read[0];
        let Some(at) = self.variables.iter().rposition(|variable| variable.name == root) else {
            if root.starts_with('@') {
                return Vec::new();
            }
            let unfit = (self.read)(&read).filter(|unfit| *unfit != UnfitKind::Null || !is_asked);
            return unfit.map(|unfit| UnfitRisk { unfit, path: Some(read) }).into_iter().collect();
        };
        let Some(range) = self.variables[at].range else { return Vec::new() };
        let inner: Vec<AccessStep<'_>> = read[1..].iter().map(|name| AccessStep::of_name(name)).collect();
        let mut found = self.outside_of(at, |values, known| values.of(range, &behind(AccessStep::Each, &inner), known));
        found.retain(|doubt| doubt.unfit != UnfitKind::Null || !is_asked);
        found
    }

    /// Asks where the variable was not there yet.
    fn outside_of<T>(&mut self, variable: usize, ask: impl FnOnce(&mut Self, &[PathFact]) -> T) -> T {
        let inside = self.variables.split_off(self.variables[variable].outside);
        let known = inside.iter().find(|it| it.range.is_some()).map(|it| it.known.clone()).unwrap_or_default();
        let answer = ask(self, &known);
        self.variables.extend(inside);
        answer
    }

    fn of_call(&mut self, call: &'e CallExpr, path: &[AccessStep<'_>], known: &[PathFact]) -> Vec<UnfitRisk> {
        match (exact::written(&call.func_name), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let mut either = Vec::new();
                for (truth, branch) in [(true, yes), (false, no)] {
                    if !reads::is_settled(condition, !truth, known) {
                        let known = reads::with(known, reads::facts(condition, truth));
                        either.extend(self.of(branch, path, &known));
                    }
                }
                either
            }
            (METER | "dyn", [inner]) => self.of(inner, path, known),
            (operators::INDEX, [of, index]) => self.of(of, &behind(AccessStep::of_index(index), path), known),
            // Lists that are joined; there is no element at a certain place.
            (operators::ADD, [left, right]) if !path.is_empty() => {
                let first = if path[0] == AccessStep::Each { AccessStep::Each } else { AccessStep::Any };
                let path = behind(first, &path[1..]);
                let mut both = self.of(left, &path, known);
                both.extend(self.of(right, &path, known));
                both
            }
            _ => Vec::new(),
        }
    }

    /// `map` and `filter` gather a list, the others count or ask.
    fn of_macro(&mut self, all: &'e ComprehensionExpr, path: &[AccessStep<'_>], known: &[PathFact]) -> Vec<UnfitRisk> {
        let Expr::List(_) = &all.accu_init.expr else { return Vec::new() };
        let Some((_, rest)) = path.split_first() else { return written(UnfitKind::List) };
        let known = self.enter(all, known);
        let found =
            gathered(&all.loop_step, &known).map_or_else(Vec::new, |(element, known)| self.of(element, rest, &known));
        self.leave();
        found
    }
}

/// What a macro adds to its list in a turn, and what holds there.
fn gathered<'e>(step: &'e IdedExpr, known: &[PathFact]) -> Option<(&'e IdedExpr, Vec<PathFact>)> {
    let Expr::Call(call) = &step.expr else { return None };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::CONDITIONAL, [condition, added, _]) => {
            gathered(added, &reads::with(known, reads::facts(condition, true)))
        }
        (operators::ADD, [_, added]) => match &added.expr {
            Expr::List(list) => Some((list.elements.first()?, known.to_vec())),
            _ => None,
        },
        _ => None,
    }
}

fn behind<'s>(step: AccessStep<'s>, path: &[AccessStep<'s>]) -> Vec<AccessStep<'s>> {
    std::iter::once(step).chain(path.iter().copied()).collect()
}

fn elements<'e>(all: &'e [IdedExpr], step: AccessStep<'_>) -> Vec<&'e IdedExpr> {
    match step {
        AccessStep::Element(at) => all.get(at).into_iter().collect(),
        AccessStep::Any | AccessStep::Each => all.iter().collect(),
        AccessStep::Field(_) => Vec::new(),
    }
}

/// The values of a map that a step can lead to: those of keys that are computed may be any.
fn entries<'e>(map: &'e MapExpr, step: AccessStep<'_>) -> Vec<&'e IdedExpr> {
    let leads = |key: &IdedExpr| match (&key.expr, step) {
        (Expr::Literal(LiteralValue::String(name)), AccessStep::Field(wanted)) => name.inner() == wanted,
        (Expr::Literal(LiteralValue::String(_)), AccessStep::Element(_)) | (_, AccessStep::Each) => false,
        _ => true,
    };
    let value = |entry: &'e EntryExpr| match entry {
        EntryExpr::MapEntry(entry) => leads(&entry.key).then_some(&entry.value),
        EntryExpr::StructField(_) => None,
    };
    map.entries.iter().filter_map(|entry| value(&entry.expr)).collect()
}

fn written(unfit: UnfitKind) -> Vec<UnfitRisk> {
    vec![UnfitRisk { unfit, path: None }]
}

fn of_literal(literal: &LiteralValue) -> Vec<UnfitRisk> {
    match literal {
        LiteralValue::Null => written(UnfitKind::Null),
        LiteralValue::String(text) if text.inner().is_empty() => written(UnfitKind::Empty),
        LiteralValue::String(_)
        | LiteralValue::Boolean(_)
        | LiteralValue::Bytes(_)
        | LiteralValue::Double(_)
        | LiteralValue::Int(_)
        | LiteralValue::UInt(_) => Vec::new(),
    }
}
