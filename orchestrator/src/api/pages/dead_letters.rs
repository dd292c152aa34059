//! The pages of dead letters: the list, and one letter with the acts that are possible.

use super::{
    super::{
        ApiState,
        dead_letters::{self, LetterLineView, LetterListQuery},
        errors::ApiError,
        request, saga_query,
    },
    page,
};
use askama::Template;
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};
use saga_core::time::{Timestamp, rfc3339};
use saga_engine::letters::{BringAim, BringOrder, LetterDetail};
use saga_event_store::{LetterOrder, StoredLetterAct};
use saga_wire::{PoisonCode, dead_letter::OriginalContent};
use uuid::Uuid;

/// Letters on one page.
const LINES: u32 = 50;

#[derive(Template)]
#[template(path = "letters.html")]
struct LettersPage {
    topic: String,
    /// Why the table does not follow its topic.
    problem: Option<String>,
    asked: LetterListQuery,
    letters: Vec<LetterLineView>,
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
    headers: Vec<(String, String)>,
    value: String,
    edit: Option<String>,
    history: Vec<StoredLetterAct>,
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
    let desk = dead_letters::desk(&backend)?;
    let (filter, size) = asked.page(backend.query.now())?;
    let size = size.min(usize::try_from(LINES).unwrap_or(size));
    let mut found = desk.list(filter, LetterOrder::Newest).await?;
    let has_more = found.len() > size;
    found.truncate(size);
    let last = found.last().filter(|_| has_more).map(|letter| letter.number.to_string());
    let next = last.map(|last| {
        let filters = asked.fields().into_iter().filter(|(name, _)| *name != "before");
        saga_query::query(filters.chain([("before", Some(last.as_str()))]))
    });
    let letters = found.into_iter().map(|letter| LetterLineView::of(letter, desk.topic())).collect();
    let problem = desk.standing().and_then(|view| view.problem);
    Ok(page(&LettersPage { topic: desk.topics().join(", "), problem, asked, letters, next }))
}

pub(crate) async fn letter(
    State(backend): State<ApiState>,
    Path(parts): Path<Vec<String>>,
) -> Result<Response, ApiError> {
    let desk = dead_letters::desk(&backend)?;
    let place = dead_letters::place(&parts, desk.topic())?;
    let LetterDetail { letter, found, edit, acts } = desk.show(&place).await?;
    let foretold = desk.foretell(&place, &by_page()).await?;
    let said = [Some(foretold.result.as_str().to_owned()), foretold.saga, foretold.message];
    let help = PoisonCode::parse(&letter.letter.code).map(|code| (code.meaning(), code.remedy()));
    let original = found.as_ref().ok().map(|found| &found.original);
    Ok(page(&LetterPage {
        help,
        now: Some(said.into_iter().flatten().collect::<Vec<_>>().join(": ")),
        headers: original.map(headers).unwrap_or_default(),
        value: original.map(value).unwrap_or_default(),
        gone: found.as_ref().err().cloned(),
        edit: edit.as_ref().map(value),
        letter: LetterLineView::of(letter, desk.topic()),
        history: acts,
    }))
}

/// Whose dry run it is.
fn by_page() -> BringOrder {
    let (who, reason) = ("page".to_owned(), "dry run".to_owned());
    BringOrder { id: Uuid::nil(), who, reason, aim: BringAim::Failed, again: true, dry_run: true }
}

fn headers(content: &OriginalContent) -> Vec<(String, String)> {
    let text = |value: Option<&[u8]>| value.map_or_else(|| "(no value)".to_owned(), shown);
    content.headers.iter().map(|(name, value)| (name.clone(), text(value.as_deref()))).collect()
}

fn value(content: &OriginalContent) -> String {
    content.value.as_deref().map_or_else(|| "(a tombstone)".to_owned(), shown)
}

/// JSON is laid out; other text is shown as it is.
fn shown(bytes: &[u8]) -> String {
    let laid_out = serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let laid_out = laid_out.and_then(|value| serde_json::to_string_pretty(&value).ok());
    laid_out.unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned())
}
