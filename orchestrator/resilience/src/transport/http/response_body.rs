//! Answers' bodies: read within a limit, and made a value.

use super::{
    charset::{self, BodyCharset},
    client::{HttpExchangeError, HttpResponse},
    content_coding::{self, ContentCoding},
    error_message,
    io_timeouts::ExchangeTimeout,
    single_header::ParsedHeader,
};
use hyper::header::CONTENT_TYPE;
use saga_core::{
    command::CommandFailure,
    json::{self, JsonError},
};
use serde_json::Value;
use std::time::Duration;

/// Characters of what an error's body says that become a failure's message.
const MESSAGE_CHARS: usize = 300;

/// Why a body cannot be had.
#[derive(Debug)]
pub(super) enum BodyError {
    /// The connection ended before the body did, or it is not written as HTTP has it.
    Missed(HttpExchangeError),
    /// A piece of it was too long in coming.
    Late(ExchangeTimeout),
    /// It has more bytes than allowed.
    TooLong,
}

/// What kind of text a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyKind {
    Json,
    Text,
    /// The participant did not say.
    Unsaid,
}

/// What an answer says of its body.
#[derive(Clone, Debug)]
pub(super) struct BodyFormat {
    codings: Vec<ContentCoding>,
    pub(super) kind: BodyKind,
    charset: BodyCharset,
}

/// What `response` says of its body.
///
/// # Errors
/// The response describes its body in a way that cannot be read.
pub(super) fn described(response: &HttpResponse) -> Result<BodyFormat, CommandFailure> {
    let unreadable = |why: String| CommandFailure::new("answer.content_type", why);
    let codings = content_coding::of(response)?;
    let (kind, charset) = match ParsedHeader::by(response, &CONTENT_TYPE) {
        ParsedHeader::Absent => (BodyKind::Unsaid, BodyCharset::Unsaid),
        ParsedHeader::Unreadable(why) => return Err(unreadable(why)),
        ParsedHeader::Value(value) => {
            content_type(&value).ok_or_else(|| unreadable(format!("`{value}` is not one content type")))?
        }
    };
    Ok(BodyFormat { codings, kind, charset })
}

/// Gateways join two headers of one name with a comma: the same twice says one thing.
fn content_type(value: &str) -> Option<(BodyKind, BodyCharset)> {
    let mut all = value.split(',').map(str::trim);
    let one = all.next()?;
    if all.any(|other| !other.eq_ignore_ascii_case(one)) {
        return None;
    }
    let (essence, parameters) = one.split_once(';').unwrap_or((one, ""));
    let essence = essence.trim().to_ascii_lowercase();
    let kind = if is_json(&essence) { BodyKind::Json } else { BodyKind::Text };
    essence.contains('/').then(|| Some((kind, BodyCharset::of(parameters)?))).flatten()
}

/// Also under the names that were used before it had one.
fn is_json(essence: &str) -> bool {
    matches!(essence, "application/json" | "text/json" | "application/x-json" | "text/x-json")
        || essence.ends_with("+json")
}

/// The whole body, of at most `limit` bytes, whatever its `Content-Length` claims, and each piece of it within `piece`.
pub(super) async fn read(
    mut response: HttpResponse,
    limit: usize,
    piece: Option<Duration>,
) -> Result<Vec<u8>, BodyError> {
    let expected = usize::try_from(response.claimed()).unwrap_or(usize::MAX);
    if expected > limit {
        return Err(BodyError::TooLong);
    }
    let mut body = Vec::with_capacity(expected);
    while let Some(chunk) = next(&mut response, piece).await? {
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn next(response: &mut HttpResponse, limit: Option<Duration>) -> Result<Option<bytes::Bytes>, BodyError> {
    let piece = response.piece();
    let piece = match limit {
        None => piece.await,
        Some(limit) => {
            tokio::time::timeout(limit, piece).await.map_err(|_| BodyError::Late(ExchangeTimeout::Read(limit)))?
        }
    };
    piece.map_err(BodyError::Missed)
}

/// The result that a success carries: `null` if empty, JSON if it says so, else the text.
pub(super) fn result(
    described: Result<BodyFormat, CommandFailure>,
    body: &[u8],
    limit: usize,
) -> Result<Value, CommandFailure> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let described = described?;
    let body = content_coding::decoded(&described.codings, body, limit)?;
    let text = match described.kind {
        BodyKind::Json => charset::of_json(&body, &described.charset),
        BodyKind::Text => charset::of_text(&body, &described.charset),
        BodyKind::Unsaid => charset::of_text(&body, &BodyCharset::Unsaid),
    }?;
    let value = match (described.kind, text.as_ref()) {
        (BodyKind::Json | BodyKind::Unsaid, text) if text.bytes().all(|byte| byte.is_ascii_whitespace()) => {
            Ok(Value::Null)
        }
        (BodyKind::Json, text) => json::read(text.as_bytes()),
        (BodyKind::Unsaid, text) => match json::read(text.as_bytes()) {
            Err(JsonError::NotJson(_)) => as_it_is(text),
            read => read,
        },
        (BodyKind::Text, text) => as_it_is(text),
    };
    value.map_err(|error| unfit(&error))
}

fn unfit(unfit: &JsonError) -> CommandFailure {
    let message = match unfit {
        JsonError::NotJson(why) => format!("the answer is not JSON: {why}"),
        other => format!("the answer cannot be kept as the result: {other}"),
    };
    CommandFailure::new(format!("answer.{}", unfit.code()), message)
}

fn as_it_is(text: &str) -> Result<Value, JsonError> {
    let text = Value::String(text.to_owned());
    json::check(&text).map(|()| text)
}

/// What an error's body says in [the members that say why](super::error_message), else its beginning, for people; or
/// why it cannot be read.
pub(super) fn message(described: &Result<BodyFormat, CommandFailure>, body: &[u8], limit: usize) -> String {
    let text = described.as_ref().map_err(Clone::clone).and_then(|described| {
        let body = content_coding::decoded(&described.codings, body, limit)?;
        let text = match described.kind {
            BodyKind::Json => charset::of_json(&body, &described.charset),
            BodyKind::Text | BodyKind::Unsaid => charset::of_text(&body, &described.charset),
        };
        let text = text?;
        let said = error_message::of(&text).unwrap_or_else(|| text.into_owned());
        Ok(said.trim().chars().filter(|char| *char != '\0').take(MESSAGE_CHARS).collect())
    });
    match text {
        Ok(text) => text,
        Err(_) if body.is_empty() => String::new(),
        Err(failure) => format!("(its body cannot be read: {})", failure.message),
    }
}
