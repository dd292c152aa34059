//! CEL's run-time errors in words that say what to write.

use super::{
    long,
    own_error::{OURS, in_our_words},
    shorten, spelling,
};
use cel::{ExecutionError, OverloadError, Value, common::value::Val};

/// Longest message: errors are journalled, and CEL's contain the values.
const MESSAGE_CHARS: usize = 300;

pub(super) fn explain(error: &ExecutionError) -> String {
    let message = match error {
        ExecutionError::NoSuchKey(name) => {
            let question = spelling::asks("… ", name);
            format!("there is no field `{name}`; if it may be missing, test `{}` first", question.trim_end())
        }
        ExecutionError::UndeclaredReference(name) => format!("`{name}` is not known here"),
        ExecutionError::NoSuchOverload(overload) => no_overload(overload),
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => no_operator(operator, left, right),
        ExecutionError::ValuesNotComparable(left, right) => no_operator("compare", left, right),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".to_owned(),
        ExecutionError::Overflow(_, left, right) => overflow(left, right).to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "the list is shorter than that; compare size(…) first".to_owned(),
        ExecutionError::FunctionError { function, message } if function == OURS => message.clone(),
        ExecutionError::FunctionError { function, message } => of_function(function, message),
        ExecutionError::UnexpectedType { got, .. } if got == long::NAME => {
            long::refused().unwrap_or_else(|| error.to_string())
        }
        other => other.to_string(),
    };
    shorten(&message, MESSAGE_CHARS)
}

/// What the functions of CEL say is of their parsers.
fn of_function(function: &str, message: &str) -> String {
    match function {
        "duration" => "`duration` takes a string such as \"24h\", \"90m\" or \"1h30m\"; there are no days".to_owned(),
        "timestamp" => "`timestamp` takes a string such as \"2026-01-01T00:00:00Z\", with a time and a zone".to_owned(),
        "int" | "uint" | "double" | "bool" => format!("`{function}` cannot convert this string"),
        "matches" => {
            format!("the pattern is not a regular expression: {}", message.lines().last().unwrap_or_default().trim())
        }
        _ => format!("`{function}`: {message}"),
    }
}

fn overflow(left: &Value, right: &Value) -> &'static str {
    let has = |is: fn(&Value) -> bool| is(left) || is(right);
    if has(|value| matches!(value, Value::Timestamp(_))) {
        "the time is outside of the years 1 to 9999, or the span between two is too long"
    } else if has(|value| matches!(value, Value::Duration(_))) {
        "the span of time is longer than 292 years"
    } else {
        "the result does not fit 64 bits; write double(x) where it may be large"
    }
}

pub(super) fn too_many_iterations() -> ExecutionError {
    let most = super::limits::MAX_ITERATIONS;
    in_our_words(format!("visits more than {most} elements; let a participant process lists of this size"))
}

/// `function` does not take values of these types.
pub(super) fn no_overload_for(function: &str, values: &[&dyn Val]) -> ExecutionError {
    let types: Vec<String> = values.iter().map(|value| value.get_type().name().to_owned()).collect();
    in_our_words(no_types(function, &types))
}

/// CEL shows a long number, which it does not know, as null.
fn no_operator(operator: &str, left: &Value, right: &Value) -> String {
    if [left, right].iter().any(|value| matches!(value, Value::Null))
        && let Some(message) = long::refused()
    {
        return message;
    }
    let (left, right) = (left.type_of().to_string(), right.type_of().to_string());
    no_types(operator, &[left.replace("float", "double"), right.replace("float", "double")])
}

fn no_overload(overload: &OverloadError) -> String {
    no_types(overload.function(), overload.argument_types())
}

fn no_types(function: &str, types: &[String]) -> String {
    if types.iter().any(|name| name == long::NAME)
        && let Some(message) = long::refused()
    {
        return message;
    }
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
        "; write string(x) to join strings, int(x) or double(x) to compute"
    } else if has("null_type") || has("null") {
        "; if it may be null, test `x != null` first"
    } else {
        ""
    }
}
