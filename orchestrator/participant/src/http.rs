//! Commands over HTTP, for axum: an extractor for the request, a response for the answer.
//!
//! | answer | is sent as |
//! |---|---|
//! | succeeded | 200 with the result as JSON |
//! | failed, final | 422 with `{"code": …, "message": …}` |
//! | failed, may be retried | 429 with the same |
//! | ongoing | 425 |
//! | not known ([`UnsettledCommandError`]) | 503 |

use crate::{
    answer::ParticipantAnswer,
    command::{SagaCommand, SagaCommandError},
    participant::UnsettledCommandError,
};
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Query, Request, rejection::BytesRejection},
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

/// The command that a request is. Its `name` is `METHOD path`, the path as it was sent, without the slash at its
/// beginning; its body is the JSON of the request, or the query of a GET or DELETE: an object of texts, a repeated name
/// with a list of them.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandExtractor(pub SagaCommand);

/// Why a request is no command. As a response it is a 400 that says which header is missing, or why the body cannot be
/// read.
#[derive(Debug, thiserror::Error)]
pub enum CommandRejection {
    /// A header is missing or wrong, or the body is not JSON.
    #[error(transparent)]
    NotACommand(#[from] SagaCommandError),
    /// The body could not be read: too long, or the connection broke.
    #[error(transparent)]
    Unread(#[from] BytesRejection),
}

impl<S: Send + Sync> FromRequest<S> for CommandExtractor {
    type Rejection = CommandRejection;

    async fn from_request(request: Request, state: &S) -> Result<CommandExtractor, CommandRejection> {
        let name = format!("{} {}", request.method(), request.uri().path().trim_start_matches('/'));
        let headers = texts(request.headers());
        let in_query = query(request.method(), request.uri());
        let body = Bytes::from_request(request, state).await?;
        Ok(CommandExtractor(match in_query {
            Some(body) => SagaCommand { body, ..SagaCommand::from_request(name, headers, b"")? },
            None => SagaCommand::from_request(name, headers, &body)?,
        }))
    }
}

/// Headers that are text; of a repeated one the last.
fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &axum::http::HeaderValue| value.to_str().ok().map(str::to_owned);
    headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect()
}

/// The body of a command that has none: what its query says.
fn query(method: &Method, uri: &Uri) -> Option<Value> {
    if *method != Method::GET && *method != Method::DELETE {
        return None;
    }
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default();
    let mut body = Map::new();
    for (name, text) in pairs {
        let value = Value::String(text);
        match body.get_mut(&name) {
            None => drop(body.insert(name, value)),
            Some(Value::Array(values)) => values.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
    Some(Value::Object(body))
}

impl IntoResponse for ParticipantAnswer {
    fn into_response(self) -> Response {
        match self {
            ParticipantAnswer::Succeeded(result) => of_json(StatusCode::OK, &result),
            ParticipantAnswer::Failed { code, message, retryable } => {
                let status = if retryable { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::UNPROCESSABLE_ENTITY };
                of_json(status, &json!({"code": code, "message": message}))
            }
            ParticipantAnswer::Ongoing => StatusCode::TOO_EARLY.into_response(),
        }
    }
}

impl IntoResponse for UnsettledCommandError {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{self}\n")).into_response()
    }
}

impl IntoResponse for CommandRejection {
    fn into_response(self) -> Response {
        match self {
            CommandRejection::NotACommand(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
            CommandRejection::Unread(error) => error.into_response(),
        }
    }
}

fn of_json(status: StatusCode, value: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], Body::from(value.to_string())).into_response()
}

#[cfg(test)]
mod tests;
