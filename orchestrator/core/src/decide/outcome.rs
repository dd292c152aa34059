//! The outcome event that a broker will never take as it is.

use crate::{
    command::{CommandFailure, CommandRequest},
    incident::{OUTCOME_NOT_PUBLISHED, OUTCOME_SHORTENED},
    state::OutcomeForm,
};
use serde_json::{Value, json};

/// Of a reason's message, and of why the output is left out, this much is kept, in bytes.
const MESSAGE_BYTES: usize = 256;

/// The same event without the saga's output, which says so in `outputOmitted`; `None` if it is that already, or is no
/// smaller by it.
pub(super) fn shortened(request: &CommandRequest, form: OutcomeForm, why: &CommandFailure) -> Option<CommandRequest> {
    let CommandRequest::Publish { topic, event_type, key, body } = request else { return None };
    let (topic, event_type, key) = (topic.clone(), event_type.clone(), key.clone());
    let short = without_output(body, why);
    let is_smaller = || short.to_string().len() < body.to_string().len();
    match form {
        OutcomeForm::Whole if is_smaller() => Some(CommandRequest::Publish { topic, event_type, key, body: short }),
        OutcomeForm::Whole | OutcomeForm::WithoutOutput => None,
    }
}

/// What a person should know of it.
pub(super) fn incident(failure: &CommandFailure, shortened: Option<&CommandRequest>) -> CommandFailure {
    let what = match shortened {
        Some(_) => OUTCOME_SHORTENED,
        None => OUTCOME_NOT_PUBLISHED,
    };
    CommandFailure { message: format!("{what}: {}", failure.message), ..failure.clone() }
}

fn without_output(body: &Value, why: &CommandFailure) -> Value {
    let mut short = body.clone();
    short["output"] = Value::Null;
    short["outputOmitted"] = json!({"code": why.code, "message": beginning(&why.message)});
    if let Some(message) = short.pointer_mut("/reason/message") {
        *message = json!(beginning(message.as_str().unwrap_or_default()));
    }
    short
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MESSAGE_BYTES)]
}
