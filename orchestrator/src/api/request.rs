//! Reads bodies and queries; an error names the field and uses the words of JSON.

use super::errors::{ApiError, RequestBodyKind};
use axum::{
    extract::{Query, rejection::QueryRejection},
    http::{HeaderMap, header::CONTENT_TYPE},
};
use saga_core::{definition::or_did_you_mean, json};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Lines of a list unless the caller asks for another number.
const USUAL_LINES: u32 = 100;
/// The most lines of one answer.
const MOST_LINES: u32 = 1000;

/// Reads a body, which has to be a JSON object.
pub(super) fn read<T: DeserializeOwned>(
    form: RequestBodyKind,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<T, ApiError> {
    require_json(form, headers)?;
    let bad = |message: String| ApiError::BadBody(form, message);
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return Err(bad("the body is empty: expected a JSON object".to_owned()));
    }
    let value = json::read(body).map_err(|unfit| bad(format!("the body cannot be read: {unfit}")))?;
    if !value.is_object() {
        return Err(bad(format!("the body is {}: expected a JSON object", kind(&value))));
    }
    // From the text: an error about a number that does not fit says only then which numbers fit.
    let mut text = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut text).map_err(|error| bad(told(&error, &value)))
}

/// The query, or an error in the form of the API.
pub(super) fn checked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    query.map(|Query(asked)| asked).map_err(|rejection| {
        let text = rejection.body_text();
        let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
        let (place, what) = text.split_once(": ").unwrap_or(("", text));
        let is_name = !place.is_empty() && place.chars().all(char::is_alphanumeric);
        let told = if is_name && !what.contains(" field `") { format!("`{place}`: {what}") } else { what.to_owned() };
        ApiError::BadParameter(in_words(&told).replace(" field `", " parameter `"))
    })
}

/// How many lines of a list the caller asks for.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, ApiError> {
    match asked.unwrap_or(USUAL_LINES) {
        limit @ 1..=MOST_LINES => Ok(limit),
        limit => Err(ApiError::BadParameter(format!("`limit` is {limit}: expected 1 to {MOST_LINES}"))),
    }
}

/// A page of another site can make a browser send a form or plain text to this API. For JSON the browser asks the API
/// first, which refuses.
pub(super) fn require_json(form: RequestBodyKind, headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::BadBody(form, format!("the header content-type is `{content_type}`, expected application/json")))
}

fn told(error: &serde_path_to_error::Error<serde_json::Error>, body: &Value) -> String {
    let (place, what) = (error.path().to_string(), error.inner().to_string());
    let what = what.split(" at line ").next().unwrap_or_default().to_owned();
    if let Some(field) = ["missing field", "unknown field"].iter().find_map(|start| what.strip_prefix(start)) {
        return match place.rsplit_once('.') {
            Some((within, _)) if field.contains("expected") => in_words(&format!("`{within}`: {what}")),
            _ => in_words(&what),
        };
    }
    // `letters[0].place` is `/letters/0/place`.
    let pointer = format!("/{}", place.replace('[', ".").replace(']', "").replace('.', "/"));
    let found = body.pointer(&pointer).map_or_else(|| "not there".to_owned(), shortened);
    match what.find("expected ") {
        Some(at) => format!("`{place}` is {found}: {}", in_words(&what[at..])),
        None if what.contains("UUID") => format!("`{place}` is {found}: expected a UUID"),
        None => format!("`{place}`: {}", in_words(&what)),
    }
}

fn shortened(value: &Value) -> String {
    const LONGEST: usize = 60;
    let mut text = value.to_string();
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Texts of the libraries that read, and ours.
const WORDS: [(&str, &str); 12] = [
    ("invalid digit found in string", "expected a whole number"),
    ("cannot parse integer from empty string", "expected a whole number"),
    ("number too large to fit in target type", "the number is too large"),
    ("provided string was not `true` or `false`", "expected true or false"),
    ("expected a nonzero u32", "expected a whole number from 1 to 4294967295"),
    ("expected u32", "expected a whole number from 0 to 4294967295"),
    ("expected u64", "expected a whole number, 0 or more"),
    ("expected usize", "expected a whole number, 0 or more"),
    ("expected f64", "expected a number"),
    ("expected a string", "expected a text"),
    ("expected a sequence", "expected a list"),
    ("expected a boolean", "expected true or false"),
];

fn in_words(said: &str) -> String {
    let mut said = WORDS.iter().fold(said.to_owned(), |said, (library, ours)| said.replace(library, ours));
    if let Some(at) = said.find("expected struct ") {
        said.replace_range(at.., "expected a JSON object");
    }
    let guess = guess(&said).unwrap_or_default();
    format!("{said}{guess}")
}

/// For ``unknown field `lmit`, expected one of `limit`, `by` ``.
fn guess(said: &str) -> Option<String> {
    let mut quoted = said.split_once("unknown field ")?.1.split('`').skip(1).step_by(2);
    let wrong = quoted.next()?;
    Some(or_did_you_mean(wrong, quoted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::num::NonZeroU32;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    #[expect(dead_code, reason = "it is only read")]
    struct TestBody {
        who: String,
        pace: Option<u32>,
        wait_ms: Option<u64>,
        share: Option<f64>,
        places: Option<NonZeroU32>,
        dry_run: Option<bool>,
        sagas: Option<Vec<String>>,
        letters: Option<Vec<crate::dead_letters::LetterAddress>>,
        filter: Option<TestBodyFilter>,
        id: Option<uuid::Uuid>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is only read")]
    struct TestBodyFilter {
        limit: Option<u32>,
    }

    fn said(body: &str) -> String {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, axum::http::HeaderValue::from_static("application/json"))]);
        match read::<TestBody>(RequestBodyKind::Job, &headers, body.as_bytes()) {
            Err(ApiError::BadBody(RequestBodyKind::Job, message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_of_its_place_and_without_words_of_a_library() {
        for (body, expected) in [
            ("", "the body is empty: expected a JSON object"),
            ("[]", "the body is a list: expected a JSON object"),
            ("null", "the body is null: expected a JSON object"),
            ("{}", "missing field `who`"),
            (r#"{"who": 5}"#, "`who` is 5: expected a text"),
            (r#"{"who": "a", "pace": -1}"#, "`pace` is -1: expected a whole number from 0 to 4294967295"),
            (r#"{"who": "a", "pace": "x"}"#, "`pace` is \"x\": expected a whole number from 0 to 4294967295"),
            (r#"{"who": "a", "waitMs": true}"#, "`waitMs` is true: expected a whole number, 0 or more"),
            (r#"{"who": "a", "share": "x"}"#, "`share` is \"x\": expected a number"),
            (r#"{"who": "a", "places": 0}"#, "`places` is 0: expected a whole number from 1 to 4294967295"),
            (r#"{"who": "a", "dryRun": 1}"#, "`dryRun` is 1: expected true or false"),
            (r#"{"who": "a", "sagas": "x"}"#, "`sagas` is \"x\": expected a list"),
            (r#"{"who": "a", "sagas": ["x", 5]}"#, "`sagas[1]` is 5: expected a text"),
            (r#"{"who": "a", "letters": [""]}"#, "`letters[0]` is \"\": expected partition and offset, like 0/17"),
            (r#"{"who": "a", "letters": ["0/1", null]}"#, "`letters[1]` is null: expected a text"),
            (r#"{"who": "a", "filter": 1}"#, "`filter` is 1: expected a JSON object"),
            (r#"{"who": "a", "filter": {"limit": "x"}}"#, "`filter.limit` is \"x\": expected a whole number"),
            (
                r#"{"who": "a", "filter": {"lmit": 1}}"#,
                "`filter`: unknown field `lmit`, expected `limit`; did you mean `limit`?",
            ),
            (r#"{"who": "a", "id": "x"}"#, "`id` is \"x\": expected a UUID"),
            (r#"{"who": "a", "pace": 1.5}"#, "`pace` is 1.5: expected"),
            (r#"{"whoo": "a"}"#, "did you mean `who`?"),
        ] {
            let said = said(body);
            assert!(said.contains(expected), "{body}: {said}");
            assert!(!said.contains("struct") && !said.contains("u32") && !said.contains("u64"), "{said}");
        }
        assert!(said("{who}").starts_with("the body cannot be read: "));
        assert!(said(r#"{"who": "a", "who": "b"}"#).contains("who"), "a name that is there twice");
    }

    #[test]
    fn a_limit_that_cannot_be_is_told_and_not_bent() {
        assert!(matches!(limit(None), Ok(USUAL_LINES)));
        assert!(matches!(limit(Some(MOST_LINES)), Ok(MOST_LINES)));
        for wrong in [0, MOST_LINES + 1] {
            assert!(
                matches!(limit(Some(wrong)), Err(ApiError::BadParameter(message)) if message.contains("1 to 1000"))
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_query_is_said_of_its_parameter() {
        let said = |query: &str| {
            let uri = format!("/x?{query}").parse().expect("a uri");
            match checked(Query::<TestBodyFilter>::try_from_uri(&uri)) {
                Err(ApiError::BadParameter(message)) => message,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(said("limit=x"), "`limit`: expected a whole number");
        assert_eq!(said("limit=99999999999"), "`limit`: the number is too large");
        assert!(said("lmit=1").ends_with("; did you mean `limit`?"), "{}", said("lmit=1"));
        assert!(said("lmit=1").starts_with("unknown parameter `lmit`, expected"), "{}", said("lmit=1"));
        assert!(said("limit=1&limit=2").contains("duplicate parameter `limit`"));
    }
}
