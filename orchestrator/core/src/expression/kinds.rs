//! Of which kinds a value is, as far as the source and the schema of the event say it; and operators that take none of them.

use super::{
    compile::children,
    evaluate::METER,
    exact,
    reads::{self},
};
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};
use std::fmt;

/// What operators tell values apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
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

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Truth => "a boolean",
            Kind::Number => "a number",
            Kind::Text => "a text",
            Kind::Bytes => "bytes",
            Kind::List => "a list",
            Kind::Map => "a map",
            Kind::Null => "null",
            Kind::Time => "a time",
            Kind::Span => "a duration",
        })
    }
}

/// An operator that takes no values of these kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// As it is written.
    pub(crate) operator: &'static str,
    /// What it is given.
    pub(crate) kinds: Vec<Kind>,
}

/// What a path is, if that is known.
pub(super) type Paths<'r> = &'r dyn Fn(&[String]) -> Option<Vec<Kind>>;

/// The kinds of the value of `tree`; `None`: it may be anything.
pub(super) fn of(tree: &IdedExpr, read: Paths<'_>) -> Option<Vec<Kind>> {
    kinds(tree, read, &mut Vec::new())
}

/// Every operator that can never have a value.
pub(super) fn mismatches(tree: &IdedExpr, read: Paths<'_>) -> Vec<Mismatch> {
    let mut found = Vec::new();
    look(tree, read, &mut Vec::new(), &mut found);
    found
}

/// `scoped`: variables of the macros around; what they are is not known.
fn look<'e>(node: &'e IdedExpr, read: Paths<'_>, scoped: &mut Vec<&'e str>, found: &mut Vec<Mismatch>) {
    match &node.expr {
        Expr::Call(call) => {
            found.extend(mismatch(call, read, scoped));
            children(node).into_iter().for_each(|child| look(child, read, scoped, found));
        }
        Expr::Comprehension(all) => {
            look(&all.iter_range, read, scoped, found);
            let outside = enter(all, scoped);
            // What a macro is made of is not what somebody wrote, but for its parts.
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

fn kinds<'e>(node: &'e IdedExpr, read: Paths<'_>, scoped: &mut Vec<&'e str>) -> Option<Vec<Kind>> {
    if let Some(path) = reads::path_of(node) {
        let is_scoped = path.first().is_some_and(|root| root.starts_with('@') || scoped.contains(&root.as_str()));
        return if is_scoped { None } else { read(&path) };
    }
    match &node.expr {
        Expr::Literal(literal) => Some(vec![of_literal(literal)]),
        Expr::Call(call) => of_call(call, read, scoped),
        Expr::Select(select) if select.test => Some(vec![Kind::Truth]),
        Expr::List(_) => Some(vec![Kind::List]),
        Expr::Map(_) => Some(vec![Kind::Map]),
        Expr::Comprehension(all) => match &all.accu_init.expr {
            Expr::List(_) => Some(vec![Kind::List]),
            Expr::Literal(_) => Some(vec![Kind::Truth]),
            _ => None,
        },
        Expr::Select(_) | Expr::Unspecified | Expr::Ident(_) | Expr::Struct(_) => None,
    }
}

fn of_literal(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Null => Kind::Null,
        LiteralValue::Boolean(_) => Kind::Truth,
        LiteralValue::String(_) => Kind::Text,
        LiteralValue::Bytes(_) => Kind::Bytes,
        LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => Kind::Number,
    }
}

fn of_call<'e>(call: &'e CallExpr, read: Paths<'_>, scoped: &mut Vec<&'e str>) -> Option<Vec<Kind>> {
    let name = exact::written(&call.func_name);
    if is_question(name) {
        return Some(vec![Kind::Truth]);
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
            Some(vec![Kind::Number])
        }
        ("double", _) => Some(vec![Kind::Number]),
        ("string", _) => Some(vec![Kind::Text]),
        ("bytes", _) => Some(vec![Kind::Bytes]),
        ("duration", _) => Some(vec![Kind::Span]),
        ("timestamp", _) => Some(vec![Kind::Time]),
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
fn sum(left: &Option<Vec<Kind>>, right: &Option<Vec<Kind>>) -> Option<Vec<Kind>> {
    let of = |side: &Option<Vec<Kind>>, kind: Kind| side.as_ref().is_none_or(|kinds| kinds.contains(&kind));
    let both = |one: Kind, other: Kind| of(left, one) && of(right, other);
    let same =
        [Kind::Number, Kind::Text, Kind::Bytes, Kind::List, Kind::Span].into_iter().filter(|kind| both(*kind, *kind));
    let moved = both(Kind::Time, Kind::Span) || both(Kind::Span, Kind::Time);
    Some(same.chain(moved.then_some(Kind::Time)).collect())
}

fn mismatch<'e>(call: &'e CallExpr, read: Paths<'_>, scoped: &mut Vec<&'e str>) -> Option<Mismatch> {
    let (operator, takes) = taken(&call.func_name)?;
    match call.args.as_slice() {
        [one] => {
            let kinds = kinds(one, read, scoped)?;
            let fits = kinds.iter().any(|kind| takes(*kind, *kind));
            (!fits).then_some(Mismatch { operator, kinds })
        }
        [condition, _, _] => {
            let kinds = kinds(condition, read, scoped)?;
            (!kinds.contains(&Kind::Truth)).then_some(Mismatch { operator, kinds })
        }
        // Each of the two is looked at alone, too: a boolean fits no sum, whatever the other one is.
        [left, right] => {
            let (left, right) = (kinds(left, read, scoped), kinds(right, read, scoped));
            // Null has a finding of its own.
            if [&left, &right].into_iter().flatten().any(|kinds| kinds.as_slice() == [Kind::Null]) {
                return None;
            }
            let any = || {
                vec![Kind::Truth, Kind::Number, Kind::Text, Kind::Bytes, Kind::List, Kind::Map, Kind::Time, Kind::Span]
            };
            let (lefts, rights) = (left.clone().unwrap_or_else(any), right.clone().unwrap_or_else(any));
            let fits = lefts.iter().any(|left| rights.iter().any(|right| takes(*left, *right)));
            let kinds = left.into_iter().chain(right).flatten().collect();
            (!fits).then_some(Mismatch { operator, kinds })
        }
        _ => None,
    }
}

/// Whether an operator takes two values of these kinds.
type Takes = fn(Kind, Kind) -> bool;

/// How an operator is written, and whether it takes two values of these kinds.
fn taken(name: &str) -> Option<(&'static str, Takes)> {
    use Kind::{Bytes, List, Number, Span, Text, Time, Truth};
    let truths: Takes = |left, right| left == Truth && right == Truth;
    let numbers: Takes = |left, right| left == Number && right == Number;
    let ordered: Takes = |left, right| left == right && matches!(left, Number | Text | Bytes | Time | Span | Truth);
    let differs: Takes = |left, right| matches!((left, right), (Number, Number) | (Time, Time | Span) | (Span, Span));
    let adds: Takes = |left, right| {
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
