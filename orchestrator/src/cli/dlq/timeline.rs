//! The course of a saga around a reply that became a dead letter.

use super::table::{self, StoreIfAny};
use crate::{api::LetterLineView, cli::output, config::EngineConfig, visible};
use saga_core::{
    id::SagaId,
    time::{from_rfc3339, rfc3339},
};
use saga_engine::journal::{
    PlanCache,
    history::HistoryLine,
    sensitive::SensitiveDetail,
    shown::{self, SagaDisplay},
};
use saga_event_store::{LetterOrder, StoredLetterFilter};
use saga_wire::dead_letter::FoundLetter;
use serde::Serialize;

/// Most events that are shown before the reply, and from it on: `saga history` shows all.
const EVENTS_EACH_WAY: usize = 10;
/// Most letters of the saga that are listed: `saga dlq list --saga-id` lists all.
const MOST_LETTERS: u32 = 20;

/// A saga around one of its replies.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplyTimeline {
    id: String,
    saga: String,
    key: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// When the participant wrote the reply, or else when it was found to be poison.
    #[serde(skip_serializing_if = "Option::is_none")]
    replied_at: Option<String>,
    before: Vec<TimelineEvent>,
    after: Vec<TimelineEvent>,
    /// All letters of the saga, the oldest first.
    letters: Vec<LetterLineView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TimelineEvent {
    event: String,
    at: String,
    text: String,
}

/// The saga of a letter, by its journal. Without the event store, or without the saga, there is none, and a note says
/// so.
pub(super) async fn of(
    (config, store): (&EngineConfig, &StoreIfAny),
    saga: SagaId,
    letter: &FoundLetter,
) -> Option<ReplyTimeline> {
    let read = async {
        let store = table::needed(store)?;
        let shown = shown::show(store, &PlanCache::default(), saga, None).await?;
        let Some(shown) = shown else { return Ok(None) };
        let filter = StoredLetterFilter { stream: Some(saga.uuid()), limit: MOST_LETTERS, ..Default::default() };
        let letters = store.letters(&filter, LetterOrder::Oldest).await?;
        let letters = letters.into_iter().map(|letter| LetterLineView::of(letter, &config.topics.dlq)).collect();
        anyhow::Ok(Some((shown, letters)))
    };
    match read.await {
        Ok(Some((shown, letters))) => Some(around(&shown, letter, letters)),
        Ok(None) => {
            output::note(&format!("the event store has no saga {saga}, which the reply names"));
            None
        }
        Err(error) => {
            output::note(&format!("without the saga that the reply names: {error:#}"));
            None
        }
    }
}

/// The reply stands before the event that it caused. One that caused none stands where it was found to be poison: the
/// time at which it was written is another clock's.
fn around(shown: &SagaDisplay, letter: &FoundLetter, letters: Vec<LetterLineView>) -> ReplyTimeline {
    let (view, mut before) = (shown.view(SensitiveDetail::Masked), shown.history(SensitiveDetail::Masked));
    let (origin, found_at) = (letter.origin.to_string(), letter.found_at.or(letter.origin.timestamp));
    let is_caused = |line: &HistoryLine| line.text.contains(&format!("{origin} is a dead letter"));
    let is_after = |line: &HistoryLine| from_rfc3339(&line.at) >= found_at;
    let at = before.iter().position(is_caused).or_else(|| before.iter().position(is_after)).unwrap_or(before.len());
    let replied_at = letter.origin.timestamp.or(letter.found_at);
    let after = before.split_off(at).into_iter().take(EVENTS_EACH_WAY).map(event).collect();
    let before = before.split_off(before.len().saturating_sub(EVENTS_EACH_WAY));
    ReplyTimeline {
        id: view.id,
        saga: view.saga,
        key: view.key,
        status: view.status.as_str(),
        reason: view.reason,
        replied_at: replied_at.map(rfc3339),
        before: before.into_iter().map(event).collect(),
        after,
        letters,
    }
}

fn event(line: HistoryLine) -> TimelineEvent {
    TimelineEvent { event: line.event, at: line.at, text: line.text }
}

impl ReplyTimeline {
    /// The timeline as lines for people; `place`: of the letter that is shown.
    pub(super) fn text(&self, place: &str) -> String {
        let reason = self.reason.as_ref().map(|reason| format!(" ({})", visible::in_line(reason))).unwrap_or_default();
        let head = format!("{} {} · {}{reason}\nid {}", self.saga, visible::in_line(&self.key), self.status, self.id);
        let row = |it: &TimelineEvent| [it.event.clone(), it.at.clone(), it.text.clone()];
        let reply = ["→".to_owned(), self.replied_at.clone().unwrap_or_default(), "this reply".to_owned()];
        let rows = self.before.iter().map(row).chain([reply]).chain(self.after.iter().map(row));
        let events = output::table(["event", "time", "what happened"], rows);
        let others: Vec<String> = self.letters.iter().filter(|letter| letter.place != place).map(letter).collect();
        [head, events].into_iter().chain(others).collect::<Vec<_>>().join("\n")
    }
}

fn letter(letter: &LetterLineView) -> String {
    let message = visible::in_line(&letter.message);
    format!("also a letter of this saga: {} {} {}: {message}", letter.place, letter.status, letter.code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::time::Timestamp;

    fn line(second: i64) -> TimelineEvent {
        let at = rfc3339(Timestamp(second * 1_000));
        TimelineEvent { event: format!("{second}.0"), at, text: format!("second {second}") }
    }

    #[test]
    fn the_reply_stands_between_what_happened_before_and_after_it() {
        let timeline = ReplyTimeline {
            id: "0192".into(),
            saga: "order".into(),
            key: "4711".into(),
            status: "parked",
            reason: Some("whether charge happened is unknown".into()),
            replied_at: Some(rfc3339(Timestamp(2_500))),
            before: vec![line(1), line(2)],
            after: vec![line(3)],
            letters: Vec::new(),
        };
        let text = timeline.text("0/17");
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} is missing in {text}"));
        assert!(at("second 2") < at("this reply") && at("this reply") < at("second 3"), "{text}");
        assert!(text.starts_with("order 4711 · parked (whether charge happened is unknown)"), "{text}");
    }
}
