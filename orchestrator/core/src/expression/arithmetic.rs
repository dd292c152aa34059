//! Sums, differences, products and quotients of doubles, as the decimals that they are written as: exact, or an error.
//! CEL's own round in binary, so that 19.99 * 100.0 is 1998.9999999999998.

use super::{
    explain,
    functions::{CelFunction, pair, rename},
    own_error,
};
use crate::json::DecimalNumber;
use cel::{
    Env, ExecutionError,
    common::{
        ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators},
        types::{self, CelDouble},
        value::{CowVal, Val},
    },
};

/// Operators of CEL, and what stands for them in a compiled expression. The names cannot be written in CEL.
pub(super) const DECIMAL: [(&str, &str, CelFunction); 4] = [
    (operators::ADD, "@+", |args| computed(&SUM, &args)),
    (operators::SUBSTRACT, "@-", |args| computed(&DIFFERENCE, &args)),
    (operators::MULTIPLY, "@*", |args| computed(&PRODUCT, &args)),
    (operators::DIVIDE, "@/", |args| computed(&QUOTIENT, &args)),
];

/// What CEL's own operator comes to.
type CelResult<'v> = Result<Box<dyn Val + 'v>, ExecutionError>;

/// One arithmetic operation, computed exactly on two decimal numbers.
struct DecimalOperation {
    /// The sign as an expression writes it, for messages.
    sign: &'static str,
    /// The operator's name in CEL.
    operator: &'static str,
    exactly: fn(&DecimalNumber, &DecimalNumber) -> Option<DecimalNumber>,
    /// Of everything but two doubles; `None` where the type of the left one has no such operator.
    by_cel: for<'b, 'v> fn(&'b (dyn Val + 'v), &(dyn Val + 'v)) -> Option<CelResult<'v>>,
}

const SUM: DecimalOperation = DecimalOperation {
    sign: "+",
    operator: operators::ADD,
    exactly: DecimalNumber::plus,
    by_cel: |left, right| Some(left.as_adder()?.add(right).map(CowVal::into_owned)),
};
const DIFFERENCE: DecimalOperation = DecimalOperation {
    sign: "-",
    operator: operators::SUBSTRACT,
    exactly: DecimalNumber::minus,
    by_cel: |left, right| Some(left.as_subtractor()?.sub(right).map(CowVal::into_owned)),
};
const PRODUCT: DecimalOperation = DecimalOperation {
    sign: "*",
    operator: operators::MULTIPLY,
    exactly: DecimalNumber::times,
    by_cel: |left, right| Some(left.as_multiplier()?.mul(right).map(CowVal::into_owned)),
};
const QUOTIENT: DecimalOperation = DecimalOperation {
    sign: "/",
    operator: operators::DIVIDE,
    exactly: DecimalNumber::divided_by,
    by_cel: |left, right| Some(left.as_divider()?.div(right).map(CowVal::into_owned)),
};

/// Adds to `env` what [`replace`] puts into expressions.
pub(super) fn declare(env: &mut Env) {
    for (_, name, function) in DECIMAL {
        env.add_overload(name, name, vec![types::DYN_TYPE, types::DYN_TYPE], function)
            .expect("the name is ours and is added once");
    }
}

/// Puts what is exact in place of what is not, where both operands may be doubles.
pub(super) fn replace(call: &mut CallExpr) {
    let may_be_doubles = matches!(call.args.as_slice(), [left, right] if may_be_double(left) && may_be_double(right));
    if !may_be_doubles || call.target.is_some() {
        return;
    }
    rename(call, &DECIMAL);
}

fn may_be_double(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Literal(literal) => matches!(literal, LiteralValue::Double(_)),
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => false,
        Expr::Unspecified | Expr::Ident(_) | Expr::Call(_) | Expr::Comprehension(_) | Expr::Select(_) => true,
    }
}

fn computed<'b, 'v>(operation: &DecimalOperation, args: &[CowVal<'b, 'v>]) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (left, right) = pair(args)?;
    if let (Some(one), Some(other)) = (double(left), double(right)) {
        return exactly(operation, one, other).map(|double| CowVal::owned(CelDouble::from(double)));
    }
    let computed = (operation.by_cel)(left, right);
    computed.unwrap_or_else(|| Err(explain::no_overload_for(operation.operator, &[left, right]))).map(CowVal::Owned)
}

fn double(value: &dyn Val) -> Option<f64> {
    value.downcast_ref::<CelDouble>().map(|double| *double.inner())
}

fn exactly(operation: &DecimalOperation, one: f64, other: f64) -> Result<f64, ExecutionError> {
    if operation.sign == QUOTIENT.sign && other == 0.0 {
        return Err(own_error::in_our_words(format!("{one:?} / {other:?} divides by zero")));
    }
    let decimals = DecimalNumber::of_double(one).zip(DecimalNumber::of_double(other));
    let result = decimals.and_then(|(one, other)| (operation.exactly)(&one, &other)?.as_exact_double());
    result.ok_or_else(|| {
        let sign = operation.sign;
        own_error::in_our_words(format!(
            "{one:?} {sign} {other:?} has no exact result within the 15 to 17 digits of a double; compute with whole \
                units (cents), or let a participant compute it"
        ))
    })
}
