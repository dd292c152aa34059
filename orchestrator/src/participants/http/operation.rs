//! `Operation-Location`: a place that tells how far an operation is, in its body and not by its status.

use super::{client::Response, said::Said};
use hyper::header::HeaderName;
use saga_core::command::{Answer, ErrorClass, Failure, Retryable};
use serde_json::Value;

/// Behind a `#` in what is recorded of such a place. A server is never sent it.
pub(super) const MARK: &str = "operation";

/// The same under two names.
const HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("operation-location"), HeaderName::from_static("azure-asyncoperation")];

/// States that are no end, but for those whose name ends in `ing`.
const UNDER_WAY: [&str; 8] =
    ["notstarted", "accepted", "created", "queued", "scheduled", "inprogress", "started", "submitted"];

/// What an answer says of where its operation is told.
pub(super) fn place(response: &Response) -> Said {
    let mut said = HEADERS.into_iter().map(|name| Said::by(response, &name));
    said.find(|said| *said != Said::Nothing).unwrap_or(Said::Nothing)
}

/// What the body of such a place says; `None`: it is under way.
pub(super) fn outcome(body: Value) -> Option<Answer> {
    let word = body.get("status").and_then(Value::as_str).map(|word| word.replace(['_', '-', ' '], ""));
    match word.map(|word| word.to_ascii_lowercase()).as_deref() {
        Some("succeeded") => Some(Answer::Succeeded { result: body }),
        Some("failed" | "canceled" | "cancelled") => Some(failed(&body)),
        Some(word) if word.ends_with("ing") || UNDER_WAY.contains(&word) => None,
        Some(_) | None => {
            let message = "the body at `operation-location` has no `status` that is known: succeeded, failed, canceled, running, notStarted";
            Some(Answer::unknown(Failure::new("answer.operation", message).of_class(ErrorClass::Unknown)))
        }
    }
}

/// That it failed does not say that it left nothing behind.
fn failed(body: &Value) -> Answer {
    let text = |name: &str| body.get("error").and_then(|error| error.get(name)).and_then(Value::as_str);
    let status = body.get("status").and_then(Value::as_str).unwrap_or_default();
    let said: Vec<&str> = [Some(status), text("code"), text("message")].into_iter().flatten().collect();
    let failure = Failure::new("operation.failed", said.join(": ")).of_class(ErrorClass::Unknown);
    Answer::Unknown { failure, retry: Retryable::No, retry_after: None }
}
