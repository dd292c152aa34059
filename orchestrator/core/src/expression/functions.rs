//! Functions of ours that stand in compiled expressions in place of operators and functions of CEL.

use cel::{
    ExecutionError,
    common::{
        ast::CallExpr,
        value::{CowVal, Val},
    },
};

pub(super) type CelFunction = for<'b, 'v> fn(Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError>;

/// Puts what a table has for the operator or function of a call in its place.
pub(super) fn rename(call: &mut CallExpr, table: &[(&str, &str, CelFunction)]) {
    if let Some((_, ours, _)) = table.iter().find(|(of, _, _)| *of == call.func_name) {
        (*ours).clone_into(&mut call.func_name);
    }
}

pub(super) fn pair<'a, 'v>(
    args: &'a [CowVal<'_, 'v>],
) -> Result<(&'a (dyn Val + 'v), &'a (dyn Val + 'v)), ExecutionError> {
    match args {
        [left, right] => Ok((left.as_ref(), right.as_ref())),
        _ => Err(ExecutionError::InternalError("an operand is missing".into())),
    }
}
