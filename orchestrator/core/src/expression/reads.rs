//! Which names an expression reads, and what is known where it reads them. CEL has no type checker, so this is ours.

use super::{evaluate::METER, exact};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// One read of a name: `event.items`, `steps.charge.chargeId`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRead {
    /// Root first, up to what cannot be known (an index that is computed).
    pub path: Vec<String>,
    /// Facts that hold wherever this read is evaluated.
    pub known: Vec<PathFact>,
    /// Inside of `has(…)`, of which this is the whole argument.
    pub asks_presence: bool,
}

/// A fact about a path that a condition has established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathFact {
    /// The path exists: `has(path)` was true.
    Present(Vec<String>),
    /// The path has a value: `path != null` was true.
    NotNull(Vec<String>),
}

/// A call of a function by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionCall {
    /// Its name, with a namespace if it has one.
    pub name: String,
    /// Whether it is called on a value: `text.startsWith("a")`.
    pub on_value: bool,
}

pub(super) fn reads(tree: &IdedExpr) -> Vec<NameRead> {
    let mut walk = ReadCollector::default();
    walk.node(tree, &[]);
    walk.reads
}

pub(super) fn calls(tree: &IdedExpr) -> Vec<FunctionCall> {
    let mut found = Vec::new();
    let mut stack = vec![tree];
    while let Some(node) = stack.pop() {
        if let Expr::Call(call) = &node.expr
            && call.func_name.starts_with(|first: char| first.is_ascii_alphabetic())
        {
            found.push(FunctionCall { name: call.func_name.clone(), on_value: call.target.is_some() });
        }
        stack.extend(super::nodes::children(node));
    }
    found
}

#[derive(Default)]
struct ReadCollector {
    reads: Vec<NameRead>,
    /// Variables of the macros around.
    scoped: Vec<String>,
}

impl ReadCollector {
    fn node(&mut self, node: &IdedExpr, known: &[PathFact]) {
        if let Some(path) = path_of(node) {
            return self.read(path, known, false);
        }
        match &node.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
            Expr::Select(select) => self.select(node, &select.operand, known),
            Expr::Call(call) => self.call(call, known),
            Expr::Comprehension(all) => self.comprehension(all, known),
            Expr::List(list) => list.elements.iter().for_each(|element| self.node(element, known)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr, known)),
            Expr::Struct(new) => new.entries.iter().for_each(|entry| self.entry(&entry.expr, known)),
        }
    }

    fn read(&mut self, path: Vec<String>, known: &[PathFact], asks_presence: bool) {
        let scoped = path.first().is_some_and(|root| root.starts_with('@') || self.scoped.contains(root));
        if !scoped {
            self.reads.push(NameRead { path, known: known.to_vec(), asks_presence });
        }
    }

    fn select(&mut self, node: &IdedExpr, operand: &IdedExpr, known: &[PathFact]) {
        match presence_path(node) {
            Some(path) => self.read(path, known, true),
            None => self.node(operand, known),
        }
    }

    fn entry(&mut self, entry: &EntryExpr, known: &[PathFact]) {
        match entry {
            EntryExpr::StructField(field) => self.node(&field.value, known),
            EntryExpr::MapEntry(entry) => {
                self.node(&entry.key, known);
                self.node(&entry.value, known);
            }
        }
    }

    fn call(&mut self, call: &CallExpr, known: &[PathFact]) {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.node(condition, known);
                self.node(yes, &with(known, facts(condition, true)));
                self.node(no, &with(known, facts(condition, false)));
            }
            (operators::LOGICAL_AND, [left, right]) => {
                self.node(left, known);
                self.node(right, &with(known, facts(left, true)));
            }
            (operators::LOGICAL_OR, [left, right]) => {
                self.node(left, known);
                self.node(right, &with(known, facts(left, false)));
            }
            (operators::IN, [name, of]) if is_header(name, of) => {
                let path = within(name, of).expect("a name in a path is a path");
                self.read(path, known, true);
            }
            (_, args) => call.target.as_deref().into_iter().chain(args).for_each(|part| self.node(part, known)),
        }
    }

    fn comprehension(&mut self, all: &ComprehensionExpr, known: &[PathFact]) {
        self.node(&all.iter_range, known);
        self.node(&all.accu_init, known);
        let outside = self.scoped.len();
        self.scoped.extend([all.iter_var.clone(), all.accu_var.clone()]);
        self.scoped.extend(all.iter_var2.clone());
        for part in [&all.loop_cond, &all.loop_step, &all.result] {
            self.node(part, known);
        }
        self.scoped.truncate(outside);
    }
}

/// `'name' in record.headers` reads one header and not all.
fn is_header(name: &IdedExpr, of: &IdedExpr) -> bool {
    within(name, of).is_some_and(
        |path| matches!(path.as_slice(), [record, headers, _] if record == "record" && headers == "headers"),
    )
}

pub(super) fn with(known: &[PathFact], more: Vec<PathFact>) -> Vec<PathFact> {
    known.iter().cloned().chain(more).collect()
}

/// What holds once `condition` came out as `truth`.
pub(super) fn facts(condition: &IdedExpr, truth: bool) -> Vec<PathFact> {
    if let Some(path) = presence_path(condition) {
        return if truth { vec![PathFact::Present(path)] } else { Vec::new() };
    }
    let Expr::Call(call) = &condition.expr else { return Vec::new() };
    match (exact::written(&call.func_name), call.args.as_slice(), truth) {
        (operators::LOGICAL_NOT, [inner], _) => facts(inner, !truth),
        (operators::LOGICAL_AND, [left, right], true) | (operators::LOGICAL_OR, [left, right], false) => {
            with(&facts(left, truth), facts(right, truth))
        }
        (operators::NOT_EQUALS, [left, right], true) | (operators::EQUALS, [left, right], false) => {
            not_null(left, right).into_iter().collect()
        }
        (operators::IN, [name, of], true) => within(name, of).map(PathFact::Present).into_iter().collect(),
        (operators::EQUALS, [left, right], true) => equal(left, right).into_iter().collect(),
        (name, [left, right], true) if ORDERED.contains(&name) => {
            [left, right].into_iter().filter_map(path_of).map(PathFact::NotNull).collect()
        }
        _ => Vec::new(),
    }
}

/// The path that `'name' in map` asks for.
pub(super) fn within(name: &IdedExpr, of: &IdedExpr) -> Option<Vec<String>> {
    let Expr::Literal(LiteralValue::String(name)) = &name.expr else { return None };
    let mut path = path_of(of)?;
    path.push(name.inner().to_owned());
    Some(path)
}

/// Whether `condition` has to come out as `truth` where `known` holds.
pub(super) fn is_settled(condition: &IdedExpr, truth: bool, known: &[PathFact]) -> bool {
    let Expr::Call(call) = &condition.expr else {
        return truth && presence_path(condition).is_some_and(|path| known.contains(&PathFact::Present(path)));
    };
    match (call.func_name.as_str(), call.args.as_slice(), truth) {
        (operators::LOGICAL_NOT, [inner], _) => is_settled(inner, !truth, known),
        (operators::LOGICAL_AND, [left, right], true) | (operators::LOGICAL_OR, [left, right], false) => {
            is_settled(left, truth, known) && is_settled(right, truth, known)
        }
        (operators::LOGICAL_AND, [left, right], false) | (operators::LOGICAL_OR, [left, right], true) => {
            is_settled(left, truth, known) || is_settled(right, truth, known)
        }
        (operators::NOT_EQUALS, _, true) | (operators::EQUALS, _, false) | (operators::IN, _, true) => {
            let facts = facts(condition, truth);
            !facts.is_empty() && facts.iter().all(|fact| known.contains(fact))
        }
        _ => false,
    }
}

/// Comparisons that have no value with null.
const ORDERED: [&str; 4] = [operators::LESS, operators::LESS_EQUALS, operators::GREATER, operators::GREATER_EQUALS];

/// What equals a literal is not null.
fn equal(left: &IdedExpr, right: &IdedExpr) -> Option<PathFact> {
    let is_value = |node: &IdedExpr| matches!(&node.expr, Expr::Literal(literal) if *literal != LiteralValue::Null);
    match (is_value(left), is_value(right)) {
        (false, true) => path_of(left).map(PathFact::NotNull),
        (true, false) => path_of(right).map(PathFact::NotNull),
        (true, true) | (false, false) => None,
    }
}

fn not_null(left: &IdedExpr, right: &IdedExpr) -> Option<PathFact> {
    let is_null = |node: &IdedExpr| matches!(node.expr, Expr::Literal(LiteralValue::Null));
    match (is_null(left), is_null(right)) {
        (false, true) => path_of(left).map(PathFact::NotNull),
        (true, false) => path_of(right).map(PathFact::NotNull),
        (true, true) | (false, false) => None,
    }
}

/// The path inside of `has(path)`.
pub(super) fn presence_path(node: &IdedExpr) -> Option<Vec<String>> {
    match &node.expr {
        Expr::Select(select) if select.test => {
            let mut path = path_of(&select.operand)?;
            path.push(select.field.clone());
            Some(path)
        }
        _ => None,
    }
}

/// The path that a chain of selections spells; an index by a number is `[0]`.
pub(super) fn path_of(node: &IdedExpr) -> Option<Vec<String>> {
    match &node.expr {
        Expr::Ident(root) => Some(vec![root.clone()]),
        Expr::Select(select) if !select.test => extend(&select.operand, select.field.clone()),
        Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
            [of, index] => extend(of, name_of(index)?),
            _ => None,
        },
        Expr::Call(call) if call.func_name == METER => path_of(call.args.first()?),
        _ => None,
    }
}

fn extend(operand: &IdedExpr, name: String) -> Option<Vec<String>> {
    let mut path = path_of(operand)?;
    path.push(name);
    Some(path)
}

/// The name that an index selects; `None` for what is computed.
fn name_of(index: &IdedExpr) -> Option<String> {
    match &index.expr {
        Expr::Literal(LiteralValue::String(name)) => Some(name.inner().to_owned()),
        Expr::Literal(LiteralValue::Int(at)) => Some(format!("[{}]", at.inner())),
        Expr::Literal(LiteralValue::UInt(at)) => Some(format!("[{}]", at.inner())),
        _ => None,
    }
}
