//! Comparisons and `double(x)` in which no digit is lost. CEL's own compare an int with a double as two doubles, so
//! that from 2^53 on different numbers are equal, and know nothing of long numbers.

use super::{
    arithmetic, explain,
    functions::{CelFunction, pair, rename},
    long, own_error,
};
use cel::{
    Env, ExecutionError,
    common::{
        ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators},
        types::{self, CelBool, CelDouble, CelInt, CelList, CelString, CelUInt},
        value::{CowVal, Val},
    },
};
use std::cmp::Ordering;

/// Operators and functions of CEL, and what stands for them in a compiled expression. The names cannot be written in
/// CEL.
const EXACT: [(&str, &str, CelFunction); 8] = [
    (operators::EQUALS, "@==", |args| pair(&args).map(|(left, right)| truth(are_equal(left, right)))),
    (operators::NOT_EQUALS, "@!=", |args| pair(&args).map(|(left, right)| truth(!are_equal(left, right)))),
    (operators::LESS, "@<", |args| compare(operators::LESS, &args).map(|it| truth(it.is_lt()))),
    (operators::LESS_EQUALS, "@<=", |args| compare(operators::LESS_EQUALS, &args).map(|it| truth(it.is_le()))),
    (operators::GREATER, "@>", |args| compare(operators::GREATER, &args).map(|it| truth(it.is_gt()))),
    (operators::GREATER_EQUALS, "@>=", |args| compare(operators::GREATER_EQUALS, &args).map(|it| truth(it.is_ge()))),
    (operators::IN, "@contains", |args| is_in(&args).map(truth)),
    (DOUBLE, "@double", |args| double(&args).map(CowVal::owned)),
];

const DOUBLE: &str = "double";

/// From here on a double stands for more than one integer.
const EXACT_INTEGERS: u64 = 1 << 53;

/// Adds to `env` what [`replace`] puts into expressions.
pub(super) fn declare(env: &mut Env) {
    for (of, name, function) in EXACT {
        let args = if of == DOUBLE { vec![types::DYN_TYPE] } else { vec![types::DYN_TYPE, types::DYN_TYPE] };
        env.add_overload(name, name, args, function).expect("the name is ours and is added once");
    }
    env.add_overload("string", "long_number_to_string", vec![long::TYPE.to_owned()], long::to_string)
        .expect("the type is ours");
}

/// Puts what is exact in place of what is not, where the operands can be such that it matters.
pub(super) fn replace(call: &mut CallExpr) {
    let of_numbers = match call.args.as_slice() {
        [left, right] => !is_other_literal(left) && !is_other_literal(right) && !is_small_number(right),
        [_] => call.func_name == DOUBLE,
        _ => false,
    };
    if !of_numbers || call.target.is_some() {
        return;
    }
    rename(call, &EXACT);
}

/// The operator or function of CEL that a name in a compiled expression stands for.
pub(super) fn written(name: &str) -> &str {
    let replaced = EXACT.iter().chain(&arithmetic::DECIMAL);
    replaced.into_iter().find(|(_, ours, _)| *ours == name).map_or(name, |(of, _, _)| of)
}

/// A literal that is no number: comparing with it loses no digits.
fn is_other_literal(node: &IdedExpr) -> bool {
    use LiteralValue::{Boolean, Bytes, Null, String};
    matches!(node.expr, Expr::Literal(Boolean(_) | Bytes(_) | Null | String(_)))
}

/// A number to which CEL compares everything exactly, itself on the right.
fn is_small_number(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Literal(LiteralValue::Int(int)) => int.inner().unsigned_abs() < EXACT_INTEGERS,
        Expr::Literal(LiteralValue::UInt(uint)) => *uint.inner() < EXACT_INTEGERS,
        Expr::Literal(LiteralValue::Double(double)) => double.inner().abs() < EXACT_INTEGERS as f64,
        _ => false,
    }
}

/// How two numbers order; `None` where CEL itself knows it exactly, and of what is not two numbers.
fn order(left: &dyn Val, right: &dyn Val) -> Option<Ordering> {
    let is_double = |value: &dyn Val| value.downcast_ref::<CelDouble>().is_some();
    let is_integer =
        |value: &dyn Val| value.downcast_ref::<CelInt>().is_some() || value.downcast_ref::<CelUInt>().is_some();
    let is_long = |value: &dyn Val| value.downcast_ref::<long::LongNumber>().is_some();
    let is_mixed = is_double(left) && is_integer(right) || is_integer(left) && is_double(right);
    if !is_mixed && !is_long(left) && !is_long(right) {
        return None;
    }
    Some(long::decimal(left)?.cmp(&long::decimal(right)?))
}

fn are_equal(left: &dyn Val, right: &dyn Val) -> bool {
    order(left, right).map_or_else(|| left.equals(right), Ordering::is_eq)
}

fn compare(operator: &str, args: &[CowVal<'_, '_>]) -> Result<Ordering, ExecutionError> {
    let (left, right) = pair(args)?;
    if let Some(ordering) = order(left, right) {
        return Ok(ordering);
    }
    let compared = left.as_comparer().and_then(|comparer| comparer.compare(right).ok());
    compared.ok_or_else(|| explain::no_overload_for(operator, &[left, right]))
}

fn truth<'b, 'v>(truth: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(truth))
}

/// `x in list` by exact equality; of a map by its keys, as CEL does it.
fn is_in(args: &[CowVal<'_, '_>]) -> Result<bool, ExecutionError> {
    let (left, right) = pair(args)?;
    if let Some(list) = right.downcast_ref::<CelList<'_>>() {
        return Ok(list.inner().iter().any(|item| are_equal(left, item.as_ref())));
    }
    let contains = right.as_container().and_then(|container| container.contains(left).ok());
    contains.ok_or_else(|| explain::no_overload_for(operators::IN, &[left, right]))
}

/// The double that stands for exactly this number, or an error.
fn double(args: &[CowVal<'_, '_>]) -> Result<CelDouble, ExecutionError> {
    let value = args.first().ok_or_else(|| ExecutionError::InternalError("an operand is missing".into()))?;
    if let Some(double) = value.downcast_ref::<CelDouble>() {
        return Ok(*double);
    }
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return double_of_text(text.inner());
    }
    let decimal = long::decimal(value.as_ref()).ok_or_else(|| explain::no_overload_for(DOUBLE, &[value.as_ref()]))?;
    decimal.as_exact_double().map(CelDouble::from).ok_or_else(|| {
        own_error::in_our_words(format!("no double is exactly {decimal}; compute with int, or only select it"))
    })
}

fn double_of_text(text: &str) -> Result<CelDouble, ExecutionError> {
    let double: f64 = text
        .parse()
        .map_err(|_| own_error::in_our_words(format!("the string `{text}` is not a number for double(…)")))?;
    let is_exact = crate::json::DecimalNumber::of(text).is_none_or(|decimal| decimal.as_exact_double().is_some());
    if is_exact {
        return Ok(CelDouble::from(double));
    }
    Err(own_error::in_our_words(format!("no double is exactly {text}; leave it a string")))
}
