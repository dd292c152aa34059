//! Which values of an expression fit nowhere: null that a text, a path or an operator does not take; lists and maps in
//! a text. As far as the source says it: what a participant will answer is not known.

mod values;

use super::{
    evaluate::METER,
    exact,
    reads::{self, PathFact},
};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, operators};
use values::{AccessStep, ValueAnalysis};

/// What a value can be that not every place takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnfitKind {
    Null,
    /// The empty text, which cannot be a part of a path or a key.
    Empty,
    List,
    Map,
}

/// A value that can be unfit, and what makes it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnfitRisk {
    pub(crate) unfit: UnfitKind,
    /// What is read; `None`: it is written there.
    pub(crate) path: Option<Vec<String>>,
}

/// Everything that is in doubt about an expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnfitReport {
    /// The unfit values that the whole expression can have.
    pub(crate) value: Vec<UnfitRisk>,
    /// Null where an operator or a function takes none: the evaluation ends there.
    pub(crate) operands: Vec<UnfitRisk>,
}

/// `known` holds wherever `tree` is evaluated; `read` says what a path can be.
pub(super) fn doubts(
    tree: &IdedExpr,
    known: &[PathFact],
    read: &dyn Fn(&[String]) -> Option<UnfitKind>,
) -> UnfitReport {
    let mut walk = NullOperandFinder { values: ValueAnalysis::new(read), found: Vec::new() };
    walk.visit(tree, known);
    UnfitReport { value: walk.values.of(tree, &[], known), operands: walk.found }
}

/// What can be at `path` of the value of `tree`.
pub(super) fn doubts_at(
    tree: &IdedExpr,
    path: &[String],
    known: &[PathFact],
    read: &dyn Fn(&[String]) -> Option<UnfitKind>,
) -> Vec<UnfitRisk> {
    let path: Vec<AccessStep<'_>> = path.iter().map(|name| AccessStep::of_name(name)).collect();
    ValueAnalysis::new(read).of(tree, &path, known)
}

/// Looks for null where an operator or a function takes none, in every part of an expression once.
struct NullOperandFinder<'e> {
    values: ValueAnalysis<'e>,
    found: Vec<UnfitRisk>,
}

impl<'e> NullOperandFinder<'e> {
    fn visit(&mut self, node: &'e IdedExpr, known: &[PathFact]) {
        // What is read of a macro's variable is looked at step by step, everything else where paths are judged.
        let is_of_all =
            reads::path_of(node).is_some_and(|path| path.first().is_some_and(|root| !self.values.is_variable(root)));
        if is_of_all {
            return;
        }
        match &node.expr {
            Expr::Call(call) => self.call(call, known),
            Expr::Select(select) if select.test => self.visit(&select.operand, known),
            Expr::Select(select) => self.operand(&select.operand, known),
            Expr::List(list) => list.elements.iter().for_each(|element| self.visit(element, known)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr, known)),
            Expr::Comprehension(all) => self.comprehension(all, known),
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
        }
    }

    /// Visits an operand, for which null is an error.
    fn operand(&mut self, node: &'e IdedExpr, known: &[PathFact]) {
        self.visit(node, known);
        let nulls = self.values.of(node, &[], known).into_iter().filter(|doubt| doubt.unfit == UnfitKind::Null);
        self.found.extend(nulls);
    }

    fn entry(&mut self, entry: &'e EntryExpr, known: &[PathFact]) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value, known),
            EntryExpr::MapEntry(entry) => {
                self.operand(&entry.key, known);
                self.visit(&entry.value, known);
            }
        }
    }

    fn call(&mut self, call: &'e CallExpr, known: &[PathFact]) {
        match (exact::written(&call.func_name), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.operand(condition, known);
                self.visit(yes, &reads::with(known, reads::facts(condition, true)));
                self.visit(no, &reads::with(known, reads::facts(condition, false)));
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                let truth = call.func_name == operators::LOGICAL_AND;
                self.operand(left, known);
                self.operand(right, &reads::with(known, reads::facts(left, truth)));
            }
            (METER | "dyn", [inner]) => self.visit(inner, known),
            (operators::EQUALS | operators::NOT_EQUALS | "type", args) => {
                args.iter().for_each(|part| self.visit(part, known));
            }
            (operators::IN, [item, of]) => {
                self.visit(item, known);
                self.operand(of, known);
            }
            (_, args) => call.target.as_deref().into_iter().chain(args).for_each(|part| self.operand(part, known)),
        }
    }

    fn comprehension(&mut self, all: &'e ComprehensionExpr, known: &[PathFact]) {
        self.operand(&all.iter_range, known);
        self.visit(&all.accu_init, known);
        let known = self.values.enter(all, known);
        for part in [&all.loop_cond, &all.loop_step, &all.result] {
            self.visit(part, &known);
        }
        self.values.leave();
    }
}
