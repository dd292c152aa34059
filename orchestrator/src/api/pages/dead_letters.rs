//! The pages of dead letters: the list, and one letter with the acts that are possible.

use super::{
    super::{
        ApiState,
        auth::ApiCaller,
        dead_letters::{self, LetterLineView, LetterListQuery},
        errors::ApiError,
        request, saga_query,
    },
    page,
};
use crate::dead_letters::{dump, readable};
use askama::Template;
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use saga_core::act_author::ActOrigin;
use saga_core::time::{Timestamp, rfc3339};
use saga_engine::journal::payloads::HIDDEN;
use saga_engine::letters::{BringAim, BringOrder, BroughtItem, LetterDetail};
use saga_event_store::{LetterOrder, StoredLetterAct};
use saga_wire::{PoisonCode, dead_letter::OriginalContent, payload_edit::AvroValue};
use uuid::Uuid;

/// Letters on one page.
const LINES: u32 = 50;
/// Bytes of a dump: enough to recognise a format.
const DUMPED: usize = 512;

#[derive(Template)]
#[template(path = "letters.html")]
struct LettersPage {
    topic: String,
    /// Why the table does not follow its topic.
    problem: Option<String>,
    asked: LetterListQuery,
    letters: Vec<LetterLineView>,
    /// Why the list is empty: a name in the query that nothing has.
    slip: Option<String>,
    /// The query of the next page, if there is one.
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "letter.html")]
struct LetterPage {
    letter: LetterLineView,
    /// What the code means, and what to do.
    help: Option<(&'static str, &'static str)>,
    /// What would become of the record.
    now: Option<String>,
    /// Why the record cannot be shown.
    gone: Option<String>,
    original: RecordText,
    edit: Option<RecordText>,
    history: Vec<StoredLetterAct>,
}

/// A record for people.
#[derive(Default)]
struct RecordText {
    key: String,
    headers: Vec<(String, String)>,
    value: String,
    /// What is said of a value in Avro.
    avro: Option<String>,
}

#[derive(Template)]
#[template(path = "no_letters.html")]
struct NoLettersPage {
    why: String,
}

impl LettersPage {
    fn statuses(&self) -> [&'static str; 5] {
        ["open", "new", "reviewing", "redriven", "discarded"]
    }

    fn said<'a>(&self, text: &'a Option<String>) -> &'a str {
        text.as_deref().unwrap_or_default()
    }

    fn is_asked(&self, status: &str) -> bool {
        self.said(&self.asked.status) == status
    }

    fn class_of(&self, status: &str) -> &'static str {
        class(status)
    }
}

impl LetterPage {
    fn class(&self) -> &'static str {
        class(self.letter.status)
    }

    fn text<'a>(&self, text: &'a Option<String>) -> &'a str {
        text.as_deref().unwrap_or_default()
    }

    fn time(&self, at_ms: &i64) -> String {
        rfc3339(Timestamp(*at_ms))
    }

    /// The acts that the status allows, with what they do.
    fn acts(&self) -> Vec<(&'static str, &'static str)> {
        let redrive =
            ("redrive", "The record goes to the definition that could not process it, by the text in force now.");
        let review = ("review", "The letter is marked: somebody looks at it.");
        let discard = ("discard", "The letter is marked: nothing is to be done. Its record stays in the topic.");
        let reopen = ("reopen", "The letter is new again.");
        match self.letter.status {
            "new" => vec![redrive, review, discard],
            "reviewing" => vec![redrive, discard, reopen],
            "discarded" => vec![reopen],
            _ => Vec::new(),
        }
    }
}

/// The class of a mark; its word says the same as the colour.
fn class(status: &str) -> &'static str {
    match status {
        "new" => "parked",
        "reviewing" => "waiting",
        "redriven" => "completed",
        _ => "abandoned",
    }
}

pub(crate) async fn letters(
    State(backend): State<ApiState>,
    asked: Result<Query<LetterListQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = request::checked(asked)?;
    let desk = match dead_letters::desk(&backend) {
        Ok(desk) => desk,
        // Every page has a link to this one: that an engine has no letters is no error of a reader.
        Err(none) => return Ok(page(&NoLettersPage { why: none.to_string() })),
    };
    let (filter, size) = asked.page(backend.query.now())?;
    let size = size.min(usize::try_from(LINES).unwrap_or(size));
    let mut found = desk.list(filter, LetterOrder::Newest).await?;
    let slip = if found.is_empty() { dead_letters::slip(&backend, &asked).await? } else { None };
    let has_more = found.len() > size;
    found.truncate(size);
    let last = found.last().filter(|_| has_more).map(|letter| letter.number.to_string());
    let next = last.map(|last| {
        let filters = asked.fields().into_iter().filter(|(name, _)| *name != "before");
        saga_query::query(filters.chain([("before", Some(last.as_str()))]))
    });
    let letters = found.into_iter().map(|letter| LetterLineView::of(letter, desk.topic())).collect();
    let problem = desk.standing().and_then(|view| view.problem);
    Ok(page(&LettersPage { topic: desk.topics().join(", "), problem, asked, letters, slip, next }))
}

pub(crate) async fn letter(
    State(backend): State<ApiState>,
    Path(parts): Path<Vec<String>>,
    caller: ApiCaller,
) -> Result<Response, ApiError> {
    let desk = dead_letters::desk(&backend)?;
    let place = dead_letters::place(&parts, desk.topic())?;
    let detail = desk.show(&place).await?;
    let sensitive = dead_letters::sensitive_in(&backend, &detail);
    let LetterDetail { letter, found, avro, edit, acts } = detail;
    let now = said(desk.foretell(&place, &by_page()).await?);
    let help = PoisonCode::parse(&letter.letter.code).map(|code| (code.meaning(), code.remedy()));
    let text = |record: &OriginalContent, avro: Option<&AvroValue>| match caller.sees_payloads() {
        true => match dead_letters::masked_text(record, avro, &sensitive) {
            Some(value) => RecordText { value, avro: None, ..RecordText::of(record, avro) },
            None => RecordText::of(record, avro),
        },
        false => RecordText::hidden(),
    };
    let original = found.as_ref().ok().map(|found| text(&found.original, avro.as_ref()));
    Ok(page(&LetterPage {
        help,
        now: Some(now),
        original: original.unwrap_or_default(),
        gone: found.as_ref().err().cloned(),
        edit: edit.as_ref().map(|(edit, avro)| text(edit, avro.as_ref())),
        letter: LetterLineView::of(letter, desk.topic()),
        history: acts,
    }))
}

/// What would become of a letter, in a line.
fn said(item: BroughtItem) -> String {
    let parts = [Some(item.result.as_str().to_owned()), item.saga, item.message];
    parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
}

/// Whose dry run it is.
fn by_page() -> BringOrder {
    let (who, reason) = ("page".to_owned(), "dry run".to_owned());
    BringOrder {
        id: Uuid::nil(),
        who,
        reason,
        aim: BringAim::Failed,
        again: true,
        dry_run: true,
        origin: ActOrigin::default(),
    }
}

impl RecordText {
    fn hidden() -> RecordText {
        RecordText { key: HIDDEN.to_owned(), headers: Vec::new(), value: HIDDEN.to_owned(), avro: None }
    }

    fn of(content: &OriginalContent, avro: Option<&AvroValue>) -> RecordText {
        let text = |value: Option<&[u8]>| value.map_or_else(|| "(no value)".to_owned(), shown);
        RecordText {
            key: content.key.as_deref().map_or_else(|| "(none)".to_owned(), shown),
            headers: content.headers.iter().map(|(name, value)| (name.clone(), text(value.as_deref()))).collect(),
            value: match (avro, content.value.as_deref()) {
                (Some(AvroValue::Read { value, .. }), _) => format!("{value:#}"),
                (_, Some(bytes)) => laid_out(bytes),
                (_, None) => "(a tombstone)".to_owned(),
            },
            avro: avro.map(dead_letters::told_of_avro),
        }
    }
}

/// In a line.
fn shown(bytes: &[u8]) -> String {
    match readable(bytes) {
        Some(text) => text.to_owned(),
        None => format!("base64:{}", STANDARD.encode(bytes)),
    }
}

/// JSON is laid out; other text is shown as it is, and anything else as a dump.
fn laid_out(bytes: &[u8]) -> String {
    let laid_out = serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let laid_out = laid_out.and_then(|value| serde_json::to_string_pretty(&value).ok());
    laid_out.or_else(|| readable(bytes).map(str::to_owned)).unwrap_or_else(|| dump(bytes, DUMPED).join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_laid_out_in_lines_of_its_own() {
        let content = OriginalContent {
            key: None,
            value: Some(br#"{"a":"<b>\u0007"}"#.to_vec().into()),
            headers: vec![("h".to_owned(), Some(vec![0, 7].into()))],
        };
        let letter = LetterPage {
            original: RecordText::of(&content, None),
            edit: Some(RecordText::of(&content, None)),
            ..any()
        };
        let html = letter.render().expect("a page");
        assert!(html.contains("<pre>{\n  &#34;a&#34;: &#34;&#60;b&#62;\\u0007&#34;\n}</pre>"), "{html}");
        assert_eq!(html.matches("<dt>h</dt><dd>base64:AAc=</dd>").count(), 2, "{html}");
    }

    #[test]
    fn a_value_in_avro_is_shown_as_it_is_edited() {
        let content = OriginalContent { key: None, value: Some(vec![0, 0, 0, 0, 1, 2].into()), headers: Vec::new() };
        let read = AvroValue::Read { schema: "shop.A".to_owned(), value: serde_json::json!({"a": 1}) };
        let letter = LetterPage { original: RecordText::of(&content, Some(&read)), ..any() };
        let html = letter.render().expect("a page");
        assert!(html.contains("<pre>{\n  &#34;a&#34;: 1\n}</pre>") && html.contains("by the schema shop.A"), "{html}");
        let unread = AvroValue::NoSchema { why: "no such schema".to_owned() };
        let letter = LetterPage { original: RecordText::of(&content, Some(&unread)), ..any() };
        let html = letter.render().expect("a page");
        assert!(html.contains("no such schema") && html.contains("--file FILE"), "{html}");
    }

    fn any() -> LetterPage {
        let letter = LetterLineView {
            place: "0/17".to_owned(),
            number: 1,
            letter: "shop.orders/3/14".to_owned(),
            written_at: String::new(),
            code: "key".to_owned(),
            origin: None,
            saga: None,
            saga_id: None,
            key: None,
            message: String::new(),
            fingerprint: String::new(),
            redrives: 0,
            status: "new",
            changed_at: None,
            who: None,
            why: None,
            result: None,
            edited: true,
        };
        let (original, history) = (RecordText::default(), Vec::new());
        LetterPage { letter, help: None, now: None, gone: None, original, edit: None, history }
    }
}
