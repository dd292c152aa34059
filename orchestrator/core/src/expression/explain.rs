//! CEL's run-time errors in words that say what to write.

use super::shorten;
use cel::{ExecutionError, OverloadError, Value};

/// Longest message: errors are journalled, and CEL's contain the values.
const MESSAGE_CHARS: usize = 300;

pub(super) fn explain(error: &ExecutionError) -> String {
    let message = match error {
        ExecutionError::NoSuchKey(name) => {
            format!("there is no field `{name}`; where it may be missing, ask has(… .{name}) first")
        }
        ExecutionError::UndeclaredReference(name) => format!("`{name}` is not known here"),
        ExecutionError::NoSuchOverload(overload) => no_overload(overload),
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => no_operator(operator, left, right),
        ExecutionError::ValuesNotComparable(left, right) => no_operator("compare", left, right),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".to_owned(),
        ExecutionError::Overflow(..) => {
            "the result does not fit 64 bits; write double(x) where it may be large".to_owned()
        }
        ExecutionError::IndexOutOfBounds(_) => "the list is shorter than that; compare size(…) first".to_owned(),
        ExecutionError::FunctionError { function, message } if function == TOO_MANY => message.clone(),
        other => other.to_string(),
    };
    shorten(&message, MESSAGE_CHARS)
}

/// Stands for the meter in place of a function's name.
const TOO_MANY: &str = "@meter";

pub(super) fn too_many_iterations() -> ExecutionError {
    let most = super::limits::MAX_ITERATIONS;
    ExecutionError::FunctionError {
        function: TOO_MANY.to_owned(),
        message: format!("visits more than {most} elements; let a participant work on lists of this size"),
    }
}

fn no_operator(operator: &str, left: &Value, right: &Value) -> String {
    let (left, right) = (left.type_of().to_string(), right.type_of().to_string());
    no_types(operator, &[left.replace("float", "double"), right.replace("float", "double")])
}

fn no_overload(overload: &OverloadError) -> String {
    no_types(overload.function(), overload.argument_types())
}

fn no_types(function: &str, types: &[String]) -> String {
    let name = function.trim_matches(['_', '@']);
    let list = types.join(" and ");
    format!("`{name}` does not take {list}{}", advice(types))
}

fn advice(types: &[String]) -> &'static str {
    let has = |name: &str| types.iter().any(|kind| kind == name);
    if has("int") && has("double") {
        "; write the number as `2.0`, or double(x)"
    } else if has("int") && has("uint") {
        "; write the number as `2u`, or int(x)"
    } else if has("string") && (has("int") || has("uint") || has("double") || has("bool")) {
        "; write string(x) to join texts, int(x) or double(x) to compute"
    } else if has("null_type") || has("null") {
        "; where it may be null, ask `x != null` first"
    } else {
        ""
    }
}
