//! Text in values of letters that the table chose. The table has no values: they are read from the topic.

use super::source::LetterSourceArgs;
use crate::{
    config::EngineConfig,
    dead_letters::{LetterFilter, LetterTopics},
};
use saga_event_store::StoredLetter;

/// Records that one command reads for it, each by a request of its own: some ten seconds at most.
pub(super) const MOST_READ: usize = 1_000;

/// Looks for a text in letters.
pub(super) struct ValueSearch {
    topics: LetterTopics,
    filter: LetterFilter,
    text: String,
    read: usize,
}

/// What was found about a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueMatch {
    /// It has the text.
    Found,
    /// It does not.
    NotFound,
    /// So many records were read that this one is not.
    NotRead,
}

impl ValueSearch {
    pub(super) async fn open(
        text: &str,
        source: &LetterSourceArgs,
        config: &EngineConfig,
    ) -> anyhow::Result<ValueSearch> {
        let filter = LetterFilter { text: Some(text.to_owned()), ..LetterFilter::default() };
        Ok(ValueSearch { topics: source.open(config).await?, filter, text: text.to_lowercase(), read: 0 })
    }

    /// Whether message, id or key of the row have the text, or else the value in the topic.
    pub(super) async fn look(&mut self, row: &StoredLetter) -> anyhow::Result<ValueMatch> {
        let letter = &row.letter;
        let texts = [Some(&letter.message), Some(&letter.id), letter.key.as_ref()];
        if texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&self.text)) {
            return Ok(ValueMatch::Found);
        }
        if self.read == MOST_READ {
            return Ok(ValueMatch::NotRead);
        }
        self.read += 1;
        let entry = self.topics.at(&row.place).await?;
        let has_it = entry.is_some_and(|entry| self.filter.takes(&entry));
        Ok(if has_it { ValueMatch::Found } else { ValueMatch::NotFound })
    }
}
