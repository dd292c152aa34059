//! Answers' bodies: read within a limit, and made a value.

use super::pace::Late;
use reqwest::{Response, header::CONTENT_TYPE};
use saga_core::{
    command::Failure,
    json::{self, Unfit},
};
use serde_json::Value;
use std::time::Duration;

/// Characters of an error's body that become a failure's message.
const MESSAGE_CHARS: usize = 300;

/// Why a body cannot be had.
pub(super) enum Broken {
    /// The connection ended before the body did.
    Connection(reqwest::Error),
    /// A piece of it was too long in coming.
    Late(Late),
    /// It has more bytes than allowed.
    TooLong,
}

/// What kind of text a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Text,
    /// The participant did not say.
    Unsaid,
}

pub(super) fn kind(response: &Response) -> Kind {
    let Some(value) = response.headers().get(CONTENT_TYPE) else { return Kind::Unsaid };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json");
    if is_json { Kind::Json } else { Kind::Text }
}

/// The whole body, of at most `limit` bytes, whatever its `Content-Length` claims, and each piece of it within `piece`.
pub(super) async fn read(mut response: Response, limit: usize, piece: Option<Duration>) -> Result<Vec<u8>, Broken> {
    let claimed = response.content_length().unwrap_or(0);
    let expected = usize::try_from(claimed).unwrap_or(usize::MAX);
    if expected > limit {
        return Err(Broken::TooLong);
    }
    let mut body = Vec::with_capacity(expected);
    while let Some(chunk) = next(&mut response, piece).await? {
        if body.len() + chunk.len() > limit {
            return Err(Broken::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn next(response: &mut Response, limit: Option<Duration>) -> Result<Option<bytes::Bytes>, Broken> {
    let piece = response.chunk();
    let piece = match limit {
        None => piece.await,
        Some(limit) => tokio::time::timeout(limit, piece).await.map_err(|_| Broken::Late(Late::Read(limit)))?,
    };
    piece.map_err(Broken::Connection)
}

/// The result that a success carries: `null` if empty, JSON if it says so, else the text.
pub(super) fn result(kind: Kind, body: &[u8]) -> Result<Value, Failure> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let value = match (kind, json::read(body)) {
        (Kind::Json | Kind::Unsaid, Ok(value)) => Ok(value),
        (Kind::Json, Err(Unfit::NotJson(error))) => {
            return Err(Failure::new("answer.json", format!("the answer is not JSON: {error}")));
        }
        (Kind::Text, _) | (Kind::Unsaid, Err(Unfit::NotJson(_))) => text(body),
        (Kind::Json | Kind::Unsaid, Err(unfit)) => Err(unfit),
    };
    value.map_err(|unfit| {
        Failure::new(format!("answer.{}", unfit.code()), format!("the answer cannot be kept as the result: {unfit}"))
    })
}

/// The beginning of an error's body, for people.
pub(super) fn message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.trim().chars().filter(|char| *char != '\0').take(MESSAGE_CHARS).collect()
}

fn text(body: &[u8]) -> Result<Value, Unfit> {
    let text = Value::String(String::from_utf8_lossy(body).into_owned());
    json::check(&text).map(|()| text)
}
