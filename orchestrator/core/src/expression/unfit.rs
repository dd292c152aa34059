//! Which values of an expression fit nowhere: null that a text, a path or an operator does not take; lists and maps in a text. As far as the
//! source says it: what a participant will answer is not known.

use super::{
    evaluate::METER,
    reads::{self, Fact},
};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};

/// What a value can be that not every place takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Null,
    /// The empty text.
    Empty,
    List,
    Map,
}

/// A value that can be unfit, and what makes it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) unfit: Unfit,
    /// What is read; `None`: it is written there.
    pub(crate) path: Option<Vec<String>>,
}

/// Everything that is in doubt about an expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubts {
    /// What its value can be.
    pub(crate) value: Vec<Doubt>,
    /// Null where an operator or a function takes none: the evaluation ends there.
    pub(crate) operands: Vec<Doubt>,
}

/// `known` holds wherever `tree` is evaluated; `read` says what a path can be.
pub(super) fn doubts(tree: &IdedExpr, known: &[Fact], read: &dyn Fn(&[String]) -> Option<Unfit>) -> Doubts {
    let mut walk = Walk { read, scoped: Vec::new(), operands: Vec::new() };
    let value = walk.value(tree, known);
    Doubts { value, operands: walk.operands }
}

struct Walk<'r> {
    read: &'r dyn Fn(&[String]) -> Option<Unfit>,
    /// Variables of the macros around: what they are is not known.
    scoped: Vec<String>,
    operands: Vec<Doubt>,
}

impl Walk<'_> {
    fn value(&mut self, node: &IdedExpr, known: &[Fact]) -> Vec<Doubt> {
        if let Some(path) = reads::path_of(node) {
            return self.path(path, known);
        }
        match &node.expr {
            Expr::Literal(literal) => of_literal(literal),
            Expr::Call(call) => self.call(call, known),
            Expr::Select(select) => self.select(select, known),
            Expr::List(list) => {
                list.elements.iter().for_each(|element| self.visit(element, known));
                written(Unfit::List)
            }
            Expr::Map(map) => {
                map.entries.iter().for_each(|entry| self.entry(&entry.expr, known));
                written(Unfit::Map)
            }
            Expr::Comprehension(all) => self.comprehension(all, known),
            Expr::Unspecified | Expr::Ident(_) | Expr::Struct(_) => Vec::new(),
        }
    }

    fn visit(&mut self, node: &IdedExpr, known: &[Fact]) {
        self.value(node, known);
    }

    /// What takes no null.
    fn operand(&mut self, node: &IdedExpr, known: &[Fact]) {
        let nulls = self.value(node, known).into_iter().filter(|doubt| doubt.unfit == Unfit::Null);
        self.operands.extend(nulls);
    }

    fn path(&self, path: Vec<String>, known: &[Fact]) -> Vec<Doubt> {
        let scoped = path.first().is_some_and(|root| root.starts_with('@') || self.scoped.contains(root));
        if scoped {
            return Vec::new();
        }
        let unfit = (self.read)(&path);
        let unfit = unfit.filter(|unfit| *unfit != Unfit::Null || !known.contains(&Fact::NotNull(path.clone())));
        unfit.map(|unfit| Doubt { unfit, path: Some(path) }).into_iter().collect()
    }

    fn entry(&mut self, entry: &EntryExpr, known: &[Fact]) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value, known),
            EntryExpr::MapEntry(entry) => {
                self.operand(&entry.key, known);
                self.visit(&entry.value, known);
            }
        }
    }

    fn select(&mut self, select: &SelectExpr, known: &[Fact]) -> Vec<Doubt> {
        if select.test {
            self.visit(&select.operand, known);
        } else {
            self.operand(&select.operand, known);
        }
        Vec::new()
    }

    fn call(&mut self, call: &CallExpr, known: &[Fact]) -> Vec<Doubt> {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.operand(condition, known);
                let mut either = self.value(yes, &reads::with(known, reads::facts(condition, true)));
                either.extend(self.value(no, &reads::with(known, reads::facts(condition, false))));
                return either;
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                let truth = call.func_name == operators::LOGICAL_AND;
                self.operand(left, known);
                self.operand(right, &reads::with(known, reads::facts(left, truth)));
            }
            (METER | "dyn", [inner]) => return self.value(inner, known),
            (operators::EQUALS | operators::NOT_EQUALS | "@==" | "@!=" | "type", args) => {
                args.iter().for_each(|part| self.visit(part, known));
            }
            (operators::IN | "@contains", [item, of]) => {
                self.visit(item, known);
                self.operand(of, known);
            }
            (_, args) => call.target.as_deref().into_iter().chain(args).for_each(|part| self.operand(part, known)),
        }
        Vec::new()
    }

    fn comprehension(&mut self, all: &ComprehensionExpr, known: &[Fact]) -> Vec<Doubt> {
        self.operand(&all.iter_range, known);
        self.visit(&all.accu_init, known);
        let outside = self.scoped.len();
        self.scoped.extend([all.iter_var.clone(), all.accu_var.clone()]);
        self.scoped.extend(all.iter_var2.clone());
        self.visit(&all.loop_cond, known);
        self.visit(&all.loop_step, known);
        self.visit(&all.result, known);
        self.scoped.truncate(outside);
        // `map` and `filter` gather a list, the others count or ask.
        if matches!(all.accu_init.expr, Expr::List(_)) { written(Unfit::List) } else { Vec::new() }
    }
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
