//! The words for what people have decided about a letter.

use saga_core::definition::or_did_you_mean;
use saga_event_store::LetterStatus;

/// Reads the words of a status; those of other products are understood, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LetterState;

/// Words of other products.
const SYNONYMS: [(&str, LetterStatus); 2] = [("failed", LetterStatus::New), ("requeued", LetterStatus::Redriven)];

impl LetterState {
    /// The statuses of a list with commas; `open` is new and reviewing.
    pub(crate) fn all_of(text: &str) -> Result<Vec<LetterStatus>, String> {
        let mut all = Vec::new();
        for word in text.split(',').map(str::trim) {
            all.extend(LetterState::of(word)?);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    fn of(word: &str) -> Result<Vec<LetterStatus>, String> {
        let synonym = || SYNONYMS.iter().find(|(name, _)| *name == word).map(|(_, status)| *status);
        if word == "open" {
            return Ok(LetterStatus::ALL.into_iter().filter(|status| status.is_open()).collect());
        }
        LetterStatus::parse(word).or_else(synonym).map(|status| vec![status]).ok_or_else(|| {
            let guess = or_did_you_mean(word, LetterStatus::ALL.iter().map(|status| status.as_str()));
            format!(
                "`{word}` is no status of a dead letter: expected new, reviewing, redriven, discarded or open{guess}"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_products_are_understood() {
        assert_eq!(LetterState::all_of("failed, requeued"), Ok(vec![LetterStatus::New, LetterStatus::Redriven]));
        assert_eq!(LetterState::all_of("open,new"), Ok(vec![LetterStatus::New, LetterStatus::Reviewing]));
        assert!(LetterState::all_of("dicarded").is_err_and(|said| said.contains("did you mean `discarded`")));
    }
}
