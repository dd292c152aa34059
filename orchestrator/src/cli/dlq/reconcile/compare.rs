//! What topic, table and event store say about one letter, and in what they differ. Pure.

use super::finding::LetterFinding;
use saga_core::id::SagaId;
use saga_event_store::{NewLetter, RepeatedLetter, StoredLetter};

/// Where a saga is that a redrive started and that the event store does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SagaStanding {
    /// It left the store for an archive, which has it.
    Archived,
    /// It left the store with all of its time, without an archive.
    Dropped,
    /// The archive of its time cannot be asked: why.
    Undecided(String),
    /// Neither the store nor an archive has it.
    Missing,
}

/// A saga that has the business key of an open letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyHolding {
    /// The key.
    pub(super) key: String,
    /// The saga.
    pub(super) saga: String,
}

/// What is known of one place of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PlaceFacts {
    /// The row that the record there would have; `None`: the topic has no record there.
    pub(super) record: Option<NewLetter>,
    /// The row that the table has.
    pub(super) row: Option<StoredLetter>,
    /// Whether the table has followed its topic beyond the place.
    pub(super) is_followed: bool,
    /// Whether acts on the letter are on record, though its row is gone.
    pub(super) has_acts: bool,
    /// Sagas that have its key, of a letter that is open.
    pub(super) holdings: Vec<KeyHolding>,
}

/// How the record and the row of a place stand to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PlaceStanding {
    /// Row and record are of one letter.
    Agree,
    /// The row left the table because its letter ended.
    Forgotten,
    /// The table has not come to the record.
    Behind,
    /// They differ, with a text for people.
    Differ(LetterFinding, String),
}

impl PlaceFacts {
    /// How record and row stand to each other. A place with neither says nothing.
    pub(super) fn standing(&self) -> PlaceStanding {
        let of = |letter: &NewLetter| format!("{} ({})", letter.id, letter.code);
        match (&self.record, &self.row) {
            (Some(there), Some(row)) if is_same(there, &row.letter) => PlaceStanding::Agree,
            (Some(there), Some(row)) => {
                let said = format!("the record is of {}, the row is of {}", of(there), of(&row.letter));
                PlaceStanding::Differ(LetterFinding::OtherLetter, said)
            }
            // Nobody needs the record of a letter that was dealt with.
            (None, Some(row)) if !row.status.is_open() => PlaceStanding::Agree,
            (None, Some(row)) => {
                let said = format!("the topic no longer has the record of the row, which is {}", row.status.as_str());
                PlaceStanding::Differ(LetterFinding::RecordGone, said)
            }
            (Some(_), None) if !self.is_followed => PlaceStanding::Behind,
            (Some(_), None) if self.has_acts => PlaceStanding::Forgotten,
            (Some(_), None) => {
                let said = "the table has followed the topic beyond it and has no row of it".to_owned();
                PlaceStanding::Differ(LetterFinding::RowMissing, said)
            }
            (None, None) => PlaceStanding::Forgotten,
        }
    }

    /// What differs at the place.
    pub(super) fn findings(&self) -> Vec<(LetterFinding, String)> {
        match self.standing() {
            PlaceStanding::Agree => self.row.iter().flat_map(|row| self.taken(row)).collect(),
            PlaceStanding::Differ(finding, said) => vec![(finding, said)],
            PlaceStanding::Forgotten | PlaceStanding::Behind => Vec::new(),
        }
    }

    fn taken<'a>(&'a self, row: &'a StoredLetter) -> impl Iterator<Item = (LetterFinding, String)> + 'a {
        self.holdings.iter().filter(|_| is_asked(row)).map(|KeyHolding { key, saga }| {
            let said = format!("the letter is {}, and the saga {saga} has its key {key}", row.status.as_str());
            (LetterFinding::KeyTaken, said)
        })
    }
}

/// Whether it is asked who has the key of the letter: while it is open, a redrive would bring the record as it is.
pub(super) fn is_asked(row: &StoredLetter) -> bool {
    row.status.is_open() && !row.has_edit
}

fn is_same(one: &NewLetter, other: &NewLetter) -> bool {
    (&one.id, &one.code) == (&other.id, &other.code)
}

/// What differs where a redrive started this saga.
pub(super) fn of_started(saga: SagaId, standing: &SagaStanding) -> Option<(LetterFinding, String)> {
    match standing {
        SagaStanding::Archived | SagaStanding::Dropped => None,
        SagaStanding::Missing => {
            let said =
                format!("it was redriven and started the saga {saga}, which neither the store nor an archive has");
            Some((LetterFinding::SagaMissing, said))
        }
        SagaStanding::Undecided(why) => {
            let said = format!("it was redriven and started the saga {saga}, which the store does not have: {why}");
            Some((LetterFinding::SagaUndecided, said))
        }
    }
}

/// What differs where a record died more than once; `places` are those of its letters.
pub(super) fn of_repeated(repeated: &RepeatedLetter, places: &[String]) -> Option<(LetterFinding, String)> {
    let RepeatedLetter { id: _, letters, open } = repeated;
    let said = || format!("{open} of {letters} letters of this record are open: {}", places.join(" "));
    (*open > 1 && !places.is_empty()).then(|| (LetterFinding::Repeated, said()))
}

#[cfg(test)]
mod tests;
