//! What the body of a refusal says in words, where it is JSON of a usual form: RFC 9457 (`detail`, `title`), OAuth 2
//! (`error`, `error_description`), an `error` that holds them, or the kit's own `code` and `message`.

use serde_json::{Map, Value};

/// Names of what people read, the most exact first.
const WORDS: [&str; 5] = ["message", "detail", "error_description", "title", "error"];

/// The words of `body`, after their code if there is one; `None`: it is no JSON object, or has no such words.
pub(super) fn of(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let said = body.get("error").and_then(Value::as_object).or_else(|| body.as_object())?;
    let words = WORDS.into_iter().find_map(|name| text(said, name))?;
    Some(match text(said, "code") {
        Some(code) if code != words => format!("{code}: {words}"),
        _ => words.to_owned(),
    })
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::of;

    fn says(body: &str, words: &str) {
        assert_eq!(of(body).as_deref(), Some(words), "{body}");
    }

    #[test]
    fn of_a_usual_form_the_words_are_read() {
        says(r#"{"code":"card_declined","message":"the bank says no"}"#, "card_declined: the bank says no");
        says(
            r#"{"type":"https://example.com/credit","title":"No credit","detail":"The balance is 30."}"#,
            "The balance is 30.",
        );
        says(r#"{"title":"No credit","status":422}"#, "No credit");
        says(
            r#"{"error":{"code":"amount_too_small","message":"at least 50 cents"}}"#,
            "amount_too_small: at least 50 cents",
        );
        says(r#"{"error":"invalid_grant","error_description":"the token has expired"}"#, "the token has expired");
        says(r#"{"error":"not insured"}"#, "not insured");
    }

    #[test]
    fn of_anything_else_there_are_none() {
        for body in [
            "",
            "No",
            "[1]",
            "7",
            r#""no""#,
            "{}",
            r#"{"message":7}"#,
            r#"{"message":"  "}"#,
            r#"{"reason":"no"}"#,
            r#"{"message":"no""#,
        ] {
            assert_eq!(of(body), None, "{body}");
        }
    }
}
