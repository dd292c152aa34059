//! `Operation-Location`: a place that tells how far an operation is, in its body and not by its status.

use super::{client::HttpResponse, single_header::ParsedHeader};
use hyper::header::HeaderName;
use saga_core::command::{CommandAnswer, CommandFailure, ErrorClass, RetryAdvice};
use serde_json::Value;

/// Behind a `#` in what is recorded of such a place. A server is never sent it.
pub(super) const MARK: &str = "operation";

/// The same under two names.
const HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("operation-location"), HeaderName::from_static("azure-asyncoperation")];

/// States that are no end, but for those whose name ends in `ing`.
const UNDER_WAY: [&str; 8] =
    ["notstarted", "accepted", "created", "queued", "scheduled", "inprogress", "started", "submitted"];

/// The place that an answer names, where the state of its operation can be read.
pub(super) fn place(response: &HttpResponse) -> ParsedHeader {
    let mut said = HEADERS.into_iter().map(|name| ParsedHeader::by(response, &name));
    said.find(|said| *said != ParsedHeader::Absent).unwrap_or(ParsedHeader::Absent)
}

/// What the body of such a place says; `None`: it is under way.
pub(super) fn outcome(body: Value) -> Option<CommandAnswer> {
    let word = body.get("status").and_then(Value::as_str).map(|word| word.replace(['_', '-', ' '], ""));
    match word.map(|word| word.to_ascii_lowercase()).as_deref() {
        Some("succeeded") => Some(CommandAnswer::Succeeded { result: body }),
        Some("failed" | "canceled" | "cancelled") => Some(failed(&body)),
        Some(word) if word.ends_with("ing") || UNDER_WAY.contains(&word) => None,
        Some(_) | None => {
            let said = body.get("status").map_or_else(|| "it has no `status`".to_owned(), quoted);
            let message = format!(
                "the body at `operation-location` does not say how far it is: {said}; expected succeeded, failed, canceled, running or notStarted"
            );
            Some(CommandAnswer::unknown(CommandFailure::new("answer.operation", message).of_class(ErrorClass::Unknown)))
        }
    }
}

fn quoted(status: &Value) -> String {
    /// Of a status that is no word.
    const SHOWN: usize = 60;
    let text = status.as_str().map_or_else(|| status.to_string(), str::to_owned);
    format!("its `status` is `{}`", text.chars().take(SHOWN).collect::<String>())
}

/// That it failed does not say that it left nothing behind.
fn failed(body: &Value) -> CommandAnswer {
    let text = |name: &str| body.get("error").and_then(|error| error.get(name)).and_then(Value::as_str);
    let status = body.get("status").and_then(Value::as_str).unwrap_or_default();
    let said: Vec<&str> = [Some(status), text("code"), text("message")].into_iter().flatten().collect();
    let failure = CommandFailure::new("operation.failed", said.join(": ")).of_class(ErrorClass::Unknown);
    CommandAnswer::Unknown { failure, retry: RetryAdvice::No, retry_after: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_that_is_not_known_is_quoted() {
        for (body, said) in [
            (json!({"status": "done"}), "`done`"),
            (json!({"status": 7}), "`7`"),
            (json!({"status": null}), "`null`"),
            (json!({"state": "x"}), "no `status`"),
            (json!([]), "no `status`"),
        ] {
            let told = outcome(body).map(|answer| format!("{answer:?}")).unwrap_or_default();
            assert!(told.contains(said) && told.contains("notStarted"), "{told}");
        }
    }
}
