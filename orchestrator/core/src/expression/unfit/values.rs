//! What the parts of a value can be: followed through choices, lists, maps and macros.

use super::{Doubt, Unfit};
use crate::expression::{
    ANY_ELEMENT,
    evaluate::METER,
    exact,
    reads::{self, Fact},
};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, MapExpr, operators};
use std::cell::Cell;

/// Most nodes that are looked at for one expression: variables of nested macros lead back to their lists again and again. Beyond it nothing is
/// known, and nothing is refused.
const MOST_LOOKS: usize = 100_000;

/// One step from a value into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'e> {
    Field(&'e str),
    Element(usize),
    /// Any element of a list, or any value of a map.
    Any,
    /// What a macro goes through: elements of a list, and keys of a map.
    Each,
}

impl<'e> Step<'e> {
    pub(super) fn of_name(name: &'e str) -> Step<'e> {
        match reads::element(name) {
            Some(Some(at)) => Step::Element(at),
            Some(None) => Step::Any,
            None => Step::Field(name),
        }
    }

    fn of_index(index: &'e IdedExpr) -> Step<'e> {
        match &index.expr {
            Expr::Literal(LiteralValue::String(name)) => Step::Field(name.inner()),
            Expr::Literal(LiteralValue::Int(at)) => usize::try_from(*at.inner()).map_or(Step::Any, Step::Element),
            Expr::Literal(LiteralValue::UInt(at)) => usize::try_from(*at.inner()).map_or(Step::Any, Step::Element),
            _ => Step::Any,
        }
    }

    fn name(self) -> String {
        match self {
            Step::Field(name) => name.to_owned(),
            Step::Element(at) => format!("[{at}]"),
            Step::Any | Step::Each => ANY_ELEMENT.to_owned(),
        }
    }
}

/// A variable of a macro, and the list or map whose elements it stands for.
struct Variable<'e> {
    name: &'e str,
    range: Option<&'e IdedExpr>,
    /// What holds where the range is evaluated.
    known: Vec<Fact>,
    /// How many variables the range sees.
    outside: usize,
}

/// The values of the parts of one expression.
pub(super) struct Values<'e> {
    read: &'e dyn Fn(&[String]) -> Option<Unfit>,
    variables: Vec<Variable<'e>>,
    looks: Cell<usize>,
}

impl<'e> Values<'e> {
    pub(super) fn new(read: &'e dyn Fn(&[String]) -> Option<Unfit>) -> Values<'e> {
        Values { read, variables: Vec::new(), looks: Cell::new(MOST_LOOKS) }
    }

    /// Goes into a macro; what is known of names that its variables hide is known no more.
    pub(super) fn enter(&mut self, all: &'e ComprehensionExpr, known: &[Fact]) -> Vec<Fact> {
        let outside = self.variables.len();
        for name in [Some(&all.iter_var), all.iter_var2.as_ref(), Some(&all.accu_var)].into_iter().flatten() {
            let is_element = all.iter_var2.is_none() && *name == all.iter_var;
            let range = is_element.then_some(&all.iter_range);
            self.variables.push(Variable { name, range, known: known.to_vec(), outside });
        }
        let is_hidden = |fact: &Fact| {
            let (Fact::Present(path) | Fact::NotNull(path)) = fact;
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
    pub(super) fn of(&mut self, node: &'e IdedExpr, path: &[Step<'_>], known: &[Fact]) -> Vec<Doubt> {
        let Some(left) = self.looks.get().checked_sub(1) else { return Vec::new() };
        self.looks.set(left);
        if let Some(read) = reads::path_of(node) {
            return self.of_read(read, path, known);
        }
        match &node.expr {
            Expr::Literal(literal) if path.is_empty() => of_literal(literal),
            Expr::Call(call) => self.of_call(call, path, known),
            Expr::Select(select) if !select.test => {
                self.of(&select.operand, &behind(Step::Field(&select.field), path), known)
            }
            Expr::List(list) => match path.split_first() {
                None => written(Unfit::List),
                Some((step, rest)) => self.of_all(elements(&list.elements, *step), rest, known),
            },
            Expr::Map(map) => match path.split_first() {
                None => written(Unfit::Map),
                Some((step, rest)) => self.of_all(entries(map, *step), rest, known),
            },
            Expr::Comprehension(all) => self.of_macro(all, path, known),
            Expr::Select(_) | Expr::Literal(_) | Expr::Unspecified | Expr::Ident(_) | Expr::Struct(_) => Vec::new(),
        }
    }

    fn of_all(&mut self, nodes: Vec<&'e IdedExpr>, path: &[Step<'_>], known: &[Fact]) -> Vec<Doubt> {
        nodes.into_iter().flat_map(|node| self.of(node, path, known)).collect()
    }

    fn of_read(&mut self, mut read: Vec<String>, path: &[Step<'_>], known: &[Fact]) -> Vec<Doubt> {
        read.extend(path.iter().map(|step| step.name()));
        let is_asked = known.contains(&Fact::NotNull(read.clone()));
        let root = &read[0];
        let Some(at) = self.variables.iter().rposition(|variable| variable.name == root) else {
            if root.starts_with('@') {
                return Vec::new();
            }
            let unfit = (self.read)(&read).filter(|unfit| *unfit != Unfit::Null || !is_asked);
            return unfit.map(|unfit| Doubt { unfit, path: Some(read) }).into_iter().collect();
        };
        let Some(range) = self.variables[at].range else { return Vec::new() };
        let inner: Vec<Step<'_>> = read[1..].iter().map(|name| Step::of_name(name)).collect();
        let mut found = self.outside_of(at, |values, known| values.of(range, &behind(Step::Each, &inner), known));
        found.retain(|doubt| doubt.unfit != Unfit::Null || !is_asked);
        found
    }

    /// Asks where the variable was not there yet.
    fn outside_of<T>(&mut self, variable: usize, ask: impl FnOnce(&mut Self, &[Fact]) -> T) -> T {
        let inside = self.variables.split_off(self.variables[variable].outside);
        let known = inside.iter().find(|it| it.range.is_some()).map(|it| it.known.clone()).unwrap_or_default();
        let answer = ask(self, &known);
        self.variables.extend(inside);
        answer
    }

    fn of_call(&mut self, call: &'e CallExpr, path: &[Step<'_>], known: &[Fact]) -> Vec<Doubt> {
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
            (operators::INDEX, [of, index]) => self.of(of, &behind(Step::of_index(index), path), known),
            // Lists that are joined; there is no element at a certain place.
            (operators::ADD, [left, right]) if !path.is_empty() => {
                let first = if path[0] == Step::Each { Step::Each } else { Step::Any };
                let path = behind(first, &path[1..]);
                let mut both = self.of(left, &path, known);
                both.extend(self.of(right, &path, known));
                both
            }
            _ => Vec::new(),
        }
    }

    /// `map` and `filter` gather a list, the others count or ask.
    fn of_macro(&mut self, all: &'e ComprehensionExpr, path: &[Step<'_>], known: &[Fact]) -> Vec<Doubt> {
        let Expr::List(_) = &all.accu_init.expr else { return Vec::new() };
        let Some((_, rest)) = path.split_first() else { return written(Unfit::List) };
        let known = self.enter(all, known);
        let found =
            gathered(&all.loop_step, &known).map_or_else(Vec::new, |(element, known)| self.of(element, rest, &known));
        self.leave();
        found
    }
}

/// What a macro adds to its list in a turn, and what holds there.
fn gathered<'e>(step: &'e IdedExpr, known: &[Fact]) -> Option<(&'e IdedExpr, Vec<Fact>)> {
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

fn behind<'s>(step: Step<'s>, path: &[Step<'s>]) -> Vec<Step<'s>> {
    std::iter::once(step).chain(path.iter().copied()).collect()
}

fn elements<'e>(all: &'e [IdedExpr], step: Step<'_>) -> Vec<&'e IdedExpr> {
    match step {
        Step::Element(at) => all.get(at).into_iter().collect(),
        Step::Any | Step::Each => all.iter().collect(),
        Step::Field(_) => Vec::new(),
    }
}

/// The values of a map that a step can lead to: those of keys that are computed may be any.
fn entries<'e>(map: &'e MapExpr, step: Step<'_>) -> Vec<&'e IdedExpr> {
    let leads = |key: &IdedExpr| match (&key.expr, step) {
        (Expr::Literal(LiteralValue::String(name)), Step::Field(wanted)) => name.inner() == wanted,
        (Expr::Literal(LiteralValue::String(_)), Step::Element(_)) | (_, Step::Each) => false,
        _ => true,
    };
    let value = |entry: &'e EntryExpr| match entry {
        EntryExpr::MapEntry(entry) => leads(&entry.key).then_some(&entry.value),
        EntryExpr::StructField(_) => None,
    };
    map.entries.iter().filter_map(|entry| value(&entry.expr)).collect()
}

fn written(unfit: Unfit) -> Vec<Doubt> {
    vec![Doubt { unfit, path: None }]
}

fn of_literal(literal: &LiteralValue) -> Vec<Doubt> {
    match literal {
        LiteralValue::Null => written(Unfit::Null),
        LiteralValue::String(text) if text.inner().is_empty() => written(Unfit::Empty),
        LiteralValue::String(_)
        | LiteralValue::Boolean(_)
        | LiteralValue::Bytes(_)
        | LiteralValue::Double(_)
        | LiteralValue::Int(_)
        | LiteralValue::UInt(_) => Vec::new(),
    }
}
