//! Decisions on letters that come back from an export: after the table was lost, or made anew from its topics.

use super::acts::is_recorded;
use crate::act_trail;
use saga_core::{
    act_author::ActAuthor,
    digest::hex,
    time::{Timestamp, rfc3339},
};
use saga_event_store::{
    EditChange, EventStore, LetterAct, LetterActOutcome, LetterCoordinates, LetterStatus, MAX_LETTER_MESSAGE_BYTES,
    StoreError, StoredLetter,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What is on record.
const ACTION: &str = "import decision on dead letter";

/// A decision as an export has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterDecision {
    /// Where the letter is.
    pub place: LetterCoordinates,
    /// Identity of what died.
    pub letter: String,
    /// What was decided.
    pub status: LetterStatus,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub who: String,
    /// Why.
    pub why: String,
    /// What came of it.
    pub result: Option<String>,
    /// How often the record had been brought back.
    pub redrives: u32,
}

/// What became of a decision; of a dry run what would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ImportOutcome {
    /// The letter has it.
    Imported,
    /// The letter had it already.
    Before,
    /// Nothing was decided.
    Open,
    /// The table has no letter at the place.
    Unknown,
    /// Another letter is at the place.
    OtherLetter,
    /// Somebody has acted on the letter since.
    DecidedSince,
}

/// An import: whose, why, and whether it only tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecisionImport<'a> {
    /// Who imports.
    pub(super) by: &'a ActAuthor,
    /// Nothing is written.
    pub(super) dry_run: bool,
}

impl DecisionImport<'_> {
    /// Puts one decision back, if nobody has acted on the letter. The same decision again changes nothing.
    pub(super) async fn put(
        &self,
        store: &dyn EventStore,
        decision: &LetterDecision,
        now: Timestamp,
    ) -> Result<ImportOutcome, StoreError> {
        if decision.status == LetterStatus::New {
            return Ok(ImportOutcome::Open);
        }
        let Some((letter, _)) = store.letter(&decision.place).await? else { return Ok(ImportOutcome::Unknown) };
        if letter.letter.id != decision.letter {
            return Ok(ImportOutcome::OtherLetter);
        }
        let id = act_id(decision);
        if has(&letter, decision) || is_recorded(store, &letter, &id).await? {
            return Ok(ImportOutcome::Before);
        }
        if letter.change.is_some() {
            return Ok(ImportOutcome::DecidedSince);
        }
        if self.dry_run {
            return Ok(ImportOutcome::Imported);
        }
        Ok(match store.act_on_letter(&self.act(&letter, decision, (id, now))).await? {
            LetterActOutcome::Applied => ImportOutcome::Imported,
            LetterActOutcome::Repeated => ImportOutcome::Before,
            LetterActOutcome::Refused(_) => ImportOutcome::DecidedSince,
            LetterActOutcome::Unknown => ImportOutcome::Unknown,
        })
    }

    fn act(&self, letter: &StoredLetter, decision: &LetterDecision, (id, now): (String, Timestamp)) -> LetterAct {
        let LetterDecision { place, status, at, who, why, result, redrives, letter: _ } = decision;
        let said = format!("{}; {} at {} by {who}: {why}", self.by.reason, status.as_str(), rfc3339(*at));
        LetterAct {
            place: place.clone(),
            expected: vec![LetterStatus::New],
            status: *status,
            id,
            at_ms: now.0,
            who: self.by.who.clone(),
            source: act_trail::source(&self.by.origin),
            action: ACTION.to_owned(),
            why: said[..said.floor_char_boundary(MAX_LETTER_MESSAGE_BYTES)].to_owned(),
            result: result.clone(),
            redrives: redrives.saturating_sub(letter.letter.redrives),
            edit: EditChange::Keep,
        }
    }
}

/// Whether the letter is as it was exported.
fn has(letter: &StoredLetter, decision: &LetterDecision) -> bool {
    let change = letter.change.as_ref();
    letter.status == decision.status
        && change.is_some_and(|change| (change.at_ms, &change.who) == (decision.at.0, &decision.who))
}

/// The same decision has the same id, whoever imports it.
fn act_id(decision: &LetterDecision) -> String {
    let LetterDecision { place, letter, status, at, who, why, .. } = decision;
    let place = format!("{}/{}/{}", place.topic, place.partition, place.offset);
    let parts = [&place, letter, status.as_str(), &at.0.to_string(), who, why];
    format!("import:{}", hex(&Sha256::digest(parts.join("\0"))))
}
