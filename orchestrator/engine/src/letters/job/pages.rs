//! Which letters a job comes to: those that it names, or those that fit, a page at a time.

use super::{LetterJobOrder, LetterSelection, NamedPlace};
use crate::letters::bringing::{BroughtItem, BroughtResult, LetterCourier};
use saga_event_store::{
    LetterCoordinates, LetterOrder as PageOrder, LetterStatus, StoreError, StoredLetter, StoredLetterFilter,
};
use std::{collections::VecDeque, num::NonZeroU32};

/// Letters that are read from the table at once.
const PAGE: u32 = 200;

impl LetterJobOrder {
    /// The filter by which a job reads its letters, oldest first, up to a number; of named letters it is empty.
    pub(super) fn bounds(&self, up_to: i64) -> StoredLetterFilter {
        let mut filter = match &self.selection {
            LetterSelection::Named(_) => StoredLetterFilter::default(),
            LetterSelection::Matching { filter, .. } => StoredLetterFilter::clone(filter),
        };
        if filter.statuses.is_empty() && !self.bring.again {
            filter.statuses = vec![LetterStatus::New, LetterStatus::Reviewing];
        }
        let before = Some(up_to.saturating_add(1));
        StoredLetterFilter { after: Some(0), before, limit: PAGE, ..filter }
    }
}

impl LetterSelection {
    pub(super) fn end_at(&mut self, number: i64) {
        match self {
            LetterSelection::Named(_) => {}
            LetterSelection::Matching { up_to, .. } => *up_to = number,
        }
    }
}

/// The number of the last of `limit` letters: a job that is resumed must not come to more of them.
pub(super) async fn last_within(
    courier: &LetterCourier,
    usual: &str,
    bounds: StoredLetterFilter,
    limit: NonZeroU32,
) -> Result<i64, StoreError> {
    let most = usize::try_from(limit.get()).unwrap_or(usize::MAX);
    let (mut pages, mut seen, mut last) = (LetterPages::Matching(Box::new(bounds)), 0, 0);
    loop {
        let page = pages.next(courier, usual).await?;
        let numbers = page.iter().flatten().map(|letter| letter.number).take(most - seen);
        let before = seen;
        for number in numbers {
            (last, seen) = (number, seen + 1);
        }
        if seen == most || seen == before {
            return Ok(last);
        }
    }
}

/// What of a job's letters is still to come.
pub(super) enum LetterPages {
    Named(VecDeque<NamedPlace>),
    Matching(Box<StoredLetterFilter>),
}

impl LetterPages {
    pub(super) async fn next(
        &mut self,
        courier: &LetterCourier,
        usual: &str,
    ) -> Result<Vec<Result<StoredLetter, BroughtItem>>, StoreError> {
        match self {
            LetterPages::Named(places) => {
                let Some(place) = places.pop_front() else { return Ok(Vec::new()) };
                let place = place.within(usual);
                let letter = courier.store.letter(&place).await?;
                Ok(vec![letter.map(|(letter, _)| letter).ok_or_else(|| missing(courier, &place))])
            }
            LetterPages::Matching(filter) => {
                let page = courier.store.letters(filter, PageOrder::Oldest).await?;
                filter.after = page.last().map(|letter| letter.number).or(filter.after);
                Ok(page.into_iter().map(Ok).collect())
            }
        }
    }
}

fn missing(courier: &LetterCourier, place: &LetterCoordinates) -> BroughtItem {
    BroughtItem {
        place: courier.place(place),
        letter: String::new(),
        result: BroughtResult::Failed,
        saga: None,
        message: Some(format!("the table has no letter at this place of {}", place.topic)),
    }
}
