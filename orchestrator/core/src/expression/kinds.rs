//! Of which kinds a value is, as far as the source and the schema of the event say it; and operators that take none of
//! them.

use super::{
    evaluate::METER,
    exact,
    nodes::children,
    reads::{self},
};
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};
use std::fmt;

/// What operators tell values apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Truth,
    Number,
    Text,
    Bytes,
    List,
    Map,
    Null,
    Time,
    Span,
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValueKind::Truth => "a boolean",
            ValueKind::Number => "a number",
            ValueKind::Text => "a string",
            ValueKind::Bytes => "bytes",
            ValueKind::List => "a list",
            ValueKind::Map => "a map",
            ValueKind::Null => "null",
            ValueKind::Time => "a time",
            ValueKind::Span => "a duration",
        })
    }
}

/// An operator that takes no values of these kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OperatorMismatch {
    /// The operator as an expression writes it.
    pub(crate) operator: &'static str,
    /// The kinds of its operands.
    pub(crate) kinds: Vec<ValueKind>,
}

/// What a path is, if that is known.
pub(super) type PathKindLookup<'r> = &'r dyn Fn(&[String]) -> Option<Vec<ValueKind>>;

/// The kinds of the value of `tree`; `None`: it may be anything.
pub(super) fn of(tree: &IdedExpr, read: PathKindLookup<'_>) -> Option<Vec<ValueKind>> {
    kinds(tree, read, &mut Vec::new())
}

/// Every operator that can never have a value.
pub(super) fn mismatches(tree: &IdedExpr, read: PathKindLookup<'_>) -> Vec<OperatorMismatch> {
    let mut found = Vec::new();
    look(tree, read, &mut Vec::new(), &mut found);
    found
}

/// `scoped`: variables of the macros around; what they are is not known.
fn look<'e>(
    node: &'e IdedExpr,
    read: PathKindLookup<'_>,
    scoped: &mut Vec<&'e str>,
    found: &mut Vec<OperatorMismatch>,
) {
    match &node.expr {
        Expr::Call(call) => {
            found.extend(mismatch(call, read, scoped));
            children(node).into_iter().for_each(|child| look(child, read, scoped, found));
        }
        Expr::Comprehension(all) => {
            look(&all.iter_range, read, scoped, found);
            let outside = enter(all, scoped);
            // CEL expands a macro into nodes that the author did not write; only the parts that the author wrote are
            // checked.
            for part in written(&all.loop_cond).into_iter().chain(written(&all.loop_step)) {
                look(part, read, scoped, found);
            }
            scoped.truncate(outside);
        }
        _ => children(node).into_iter().for_each(|child| look(child, read, scoped, found)),
    }
}

fn enter<'e>(all: &'e ComprehensionExpr, scoped: &mut Vec<&'e str>) -> usize {
    let outside = scoped.len();
    scoped.extend([all.iter_var.as_str(), all.accu_var.as_str()]);
    scoped.extend(all.iter_var2.as_deref());
    outside
}

/// The parts of a step of a macro that do not speak of what it gathers.
fn written(node: &IdedExpr) -> Vec<&IdedExpr> {
    let gathers = |node: &IdedExpr| {
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            if matches!(&node.expr, Expr::Ident(name) if name.starts_with('@')) {
                return true;
            }
            stack.extend(children(node));
        }
        false
    };
    if gathers(node) { children(node).into_iter().flat_map(written).collect() } else { vec![node] }
}

fn kinds<'e>(node: &'e IdedExpr, read: PathKindLookup<'_>, scoped: &mut Vec<&'e str>) -> Option<Vec<ValueKind>> {
    if let Some(path) = reads::path_of(node) {
        let is_scoped = path.first().is_some_and(|root| root.starts_with('@') || scoped.contains(&root.as_str()));
        return if is_scoped { None } else { read(&path) };
    }
    match &node.expr {
        Expr::Literal(literal) => Some(vec![of_literal(literal)]),
        Expr::Call(call) => of_call(call, read, scoped),
        Expr::Select(select) if select.test => Some(vec![ValueKind::Truth]),
        Expr::List(_) => Some(vec![ValueKind::List]),
        Expr::Map(_) => Some(vec![ValueKind::Map]),
        Expr::Comprehension(all) => match &all.accu_init.expr {
            Expr::List(_) => Some(vec![ValueKind::List]),
            Expr::Literal(_) => Some(vec![ValueKind::Truth]),
            _ => None,
        },
        Expr::Select(_) | Expr::Unspecified | Expr::Ident(_) | Expr::Struct(_) => None,
    }
}

fn of_literal(literal: &LiteralValue) -> ValueKind {
    match literal {
        LiteralValue::Null => ValueKind::Null,
        LiteralValue::Boolean(_) => ValueKind::Truth,
        LiteralValue::String(_) => ValueKind::Text,
        LiteralValue::Bytes(_) => ValueKind::Bytes,
        LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => ValueKind::Number,
    }
}

fn of_call<'e>(call: &'e CallExpr, read: PathKindLookup<'_>, scoped: &mut Vec<&'e str>) -> Option<Vec<ValueKind>> {
    let name = exact::written(&call.func_name);
    if is_question(name) {
        return Some(vec![ValueKind::Truth]);
    }
    match (name, call.args.as_slice()) {
        (operators::CONDITIONAL, [_, yes, no]) => {
            let mut either = kinds(yes, read, scoped)?;
            either.extend(kinds(no, read, scoped)?);
            Some(either)
        }
        (METER, [inner]) => kinds(inner, read, scoped),
        (operators::ADD, [left, right]) => sum(&kinds(left, read, scoped), &kinds(right, read, scoped)),
        (operators::MULTIPLY | operators::DIVIDE | operators::MODULO | "size" | "int" | "uint", _) => {
            Some(vec![ValueKind::Number])
        }
        ("double", _) => Some(vec![ValueKind::Number]),
        ("string", _) => Some(vec![ValueKind::Text]),
        ("bytes", _) => Some(vec![ValueKind::Bytes]),
        ("duration", _) => Some(vec![ValueKind::Span]),
        ("timestamp", _) => Some(vec![ValueKind::Time]),
        _ => None,
    }
}

fn is_question(name: &str) -> bool {
    const QUESTIONS: [&str; 15] = [
        operators::LOGICAL_AND,
        operators::LOGICAL_OR,
        operators::LOGICAL_NOT,
        operators::EQUALS,
        operators::NOT_EQUALS,
        operators::LESS,
        operators::LESS_EQUALS,
        operators::GREATER,
        operators::GREATER_EQUALS,
        operators::IN,
        "bool",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
    ];
    QUESTIONS.contains(&name)
}

/// What a sum of two values can be: never a boolean, a map or null.
fn sum(left: &Option<Vec<ValueKind>>, right: &Option<Vec<ValueKind>>) -> Option<Vec<ValueKind>> {
    let of = |side: &Option<Vec<ValueKind>>, kind: ValueKind| side.as_ref().is_none_or(|kinds| kinds.contains(&kind));
    let both = |one: ValueKind, other: ValueKind| of(left, one) && of(right, other);
    let same = [ValueKind::Number, ValueKind::Text, ValueKind::Bytes, ValueKind::List, ValueKind::Span]
        .into_iter()
        .filter(|kind| both(*kind, *kind));
    let moved = both(ValueKind::Time, ValueKind::Span) || both(ValueKind::Span, ValueKind::Time);
    Some(same.chain(moved.then_some(ValueKind::Time)).collect())
}

fn mismatch<'e>(call: &'e CallExpr, read: PathKindLookup<'_>, scoped: &mut Vec<&'e str>) -> Option<OperatorMismatch> {
    let (operator, takes) = taken(&call.func_name)?;
    match call.args.as_slice() {
        [one] => {
            let kinds = kinds(one, read, scoped)?;
            let fits = kinds.iter().any(|kind| takes(*kind, *kind));
            (!fits).then_some(OperatorMismatch { operator, kinds })
        }
        [condition, _, _] => {
            let kinds = kinds(condition, read, scoped)?;
            (!kinds.contains(&ValueKind::Truth)).then_some(OperatorMismatch { operator, kinds })
        }
        // Each of the two is looked at alone, too: a boolean fits no sum, whatever the other one is.
        [left, right] => {
            let (left, right) = (kinds(left, read, scoped), kinds(right, read, scoped));
            // Null has a finding of its own.
            if [&left, &right].into_iter().flatten().any(|kinds| kinds.as_slice() == [ValueKind::Null]) {
                return None;
            }
            let any = || {
                vec![
                    ValueKind::Truth,
                    ValueKind::Number,
                    ValueKind::Text,
                    ValueKind::Bytes,
                    ValueKind::List,
                    ValueKind::Map,
                    ValueKind::Time,
                    ValueKind::Span,
                ]
            };
            let (lefts, rights) = (left.clone().unwrap_or_else(any), right.clone().unwrap_or_else(any));
            let fits = lefts.iter().any(|left| rights.iter().any(|right| takes(*left, *right)));
            let kinds = left.into_iter().chain(right).flatten().collect();
            (!fits).then_some(OperatorMismatch { operator, kinds })
        }
        _ => None,
    }
}

/// Whether an operator takes two values of these kinds.
type OperandPredicate = fn(ValueKind, ValueKind) -> bool;

/// How an operator is written, and whether it takes two values of these kinds.
fn taken(name: &str) -> Option<(&'static str, OperandPredicate)> {
    use ValueKind::{Bytes, List, Number, Span, Text, Time, Truth};
    let truths: OperandPredicate = |left, right| left == Truth && right == Truth;
    let numbers: OperandPredicate = |left, right| left == Number && right == Number;
    let ordered: OperandPredicate =
        |left, right| left == right && matches!(left, Number | Text | Bytes | Time | Span | Truth);
    let differs: OperandPredicate =
        |left, right| matches!((left, right), (Number, Number) | (Time, Time | Span) | (Span, Span));
    let adds: OperandPredicate = |left, right| {
        left == right && matches!(left, Number | Text | Bytes | List | Span)
            || matches!((left, right), (Time, Span) | (Span, Time))
    };
    Some(match exact::written(name) {
        operators::LOGICAL_AND => ("&&", truths),
        operators::LOGICAL_OR => ("||", truths),
        operators::LOGICAL_NOT => ("!", truths),
        operators::CONDITIONAL => ("? :", truths),
        operators::ADD => ("+", adds),
        operators::SUBSTRACT => ("-", differs),
        operators::MULTIPLY => ("*", numbers),
        operators::DIVIDE => ("/", numbers),
        operators::MODULO => ("%", numbers),
        operators::NEGATE => ("-", |one, _| matches!(one, Number | Span)),
        operators::LESS => ("<", ordered),
        operators::LESS_EQUALS => ("<=", ordered),
        operators::GREATER => (">", ordered),
        operators::GREATER_EQUALS => (">=", ordered),
        _ => return None,
    })
}
