//! Answers' bodies: read within a limit, and made a value.

use super::{pace::Late, said::Said};
use reqwest::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
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
    Text(Charset),
    /// The participant did not say.
    Unsaid,
}

/// How a text's characters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8,
    /// Only what is ASCII in it is known.
    Other,
}

/// What kind of text `response` says its body is.
///
/// # Errors
/// It says something that nobody can read, or what is no text.
pub(super) fn kind(response: &Response) -> Result<Kind, Failure> {
    let unreadable = |why: String| Failure::new("answer.content_type", why);
    match Said::by(response, &CONTENT_ENCODING) {
        Said::Nothing => {}
        Said::This(encoding) if encoding.eq_ignore_ascii_case("identity") => {}
        Said::This(encoding) => {
            let why = format!("the answer is encoded as `{encoding}`, which was not asked for");
            return Err(Failure::new("answer.encoding", why));
        }
        Said::Unreadable(why) => return Err(Failure::new("answer.encoding", why)),
    }
    match Said::by(response, &CONTENT_TYPE) {
        Said::Nothing => Ok(Kind::Unsaid),
        Said::Unreadable(why) => Err(unreadable(why)),
        Said::This(value) => kind_of(&value).ok_or_else(|| unreadable(format!("`{value}` is not one content type"))),
    }
}

fn kind_of(value: &str) -> Option<Kind> {
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    let essence = essence.trim().to_ascii_lowercase();
    if essence.contains(',') || !essence.contains('/') {
        return None;
    }
    let is_json = essence == "application/json" || essence.ends_with("+json");
    Some(if is_json { Kind::Json } else { Kind::Text(charset(parameters)) })
}

/// What is not named is UTF-8, of which ASCII is a part.
fn charset(parameters: &str) -> Charset {
    let parameters = parameters.to_ascii_lowercase();
    let mut named = parameters.split(';').filter_map(|parameter| parameter.trim().strip_prefix("charset="));
    match named.next().map(|name| name.trim_matches('"')) {
        None | Some("utf-8" | "utf8" | "us-ascii") => Charset::Utf8,
        Some(_) => Charset::Other,
    }
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
pub(super) fn result(kind: Result<Kind, Failure>, body: &[u8]) -> Result<Value, Failure> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let kind = kind?;
    let value = match (kind, json::read(body)) {
        (Kind::Json | Kind::Unsaid, Ok(value)) => Ok(value),
        (Kind::Json, Err(Unfit::NotJson(error))) => {
            return Err(Failure::new("answer.json", format!("the answer is not JSON: {error}")));
        }
        (Kind::Text(charset), _) => text(body, charset)?,
        (Kind::Unsaid, Err(Unfit::NotJson(_))) => text(body, Charset::Utf8)?,
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

/// The text, as it is or not at all: a character that was guessed would be another result.
fn text(body: &[u8], charset: Charset) -> Result<Result<Value, Unfit>, Failure> {
    let unreadable = || Failure::new("answer.text", "the answer is neither JSON nor text in UTF-8");
    let text = std::str::from_utf8(body).map_err(|_| unreadable())?;
    if charset == Charset::Other && !text.is_ascii() {
        return Err(unreadable());
    }
    let text = Value::String(text.to_owned());
    Ok(json::check(&text).map(|()| text))
}
