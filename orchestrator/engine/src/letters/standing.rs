//! How the table of dead letters stands, for operators.

use metrics::{counter, gauge};
use saga_base::sync::UnpoisonedMutex;
use std::collections::{BTreeMap, BTreeSet};
use tracing::{error, info};

/// How the table stands, as the engine that fills it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterFollowerView {
    /// Records of the topics that the table does not have yet.
    pub behind: i64,
    /// Why the table gets none of a topic now; `None`: it gets them.
    pub problem: Option<String>,
}

/// What the follower says about the table, by topic. It has an entry for each topic that is followed, and no more.
#[derive(Debug, Default)]
pub(crate) struct LetterStanding(UnpoisonedMutex<BTreeMap<String, LetterFollowerView>>);

impl LetterStanding {
    /// How the table stands for all topics together; `None`: another engine fills it.
    #[must_use]
    pub(crate) fn view(&self) -> Option<LetterFollowerView> {
        let all = self.0.lock();
        // One outage of the store or of Kafka is a problem of every topic.
        let problems: BTreeSet<&str> = all.values().filter_map(|view| view.problem.as_deref()).collect();
        let behind = all.values().map(|view| view.behind).sum();
        let problem = (!problems.is_empty()).then(|| problems.into_iter().collect::<Vec<_>>().join("; "));
        (!all.is_empty()).then_some(LetterFollowerView { behind, problem })
    }

    /// Another engine fills the table.
    pub(super) fn left(&self) {
        let all = std::mem::take(&mut *self.0.lock());
        all.keys().for_each(|topic| show(topic, 0, false));
    }

    /// The table follows the topic no longer.
    pub(super) fn forget(&self, topic: &str) {
        if self.0.lock().remove(topic).is_some() {
            show(topic, 0, false);
        }
    }

    /// The table goes on with the topic.
    pub(super) fn goes_on(&self, topic: &str, behind: i64) {
        let now = LetterFollowerView { behind, problem: None };
        let before = self.0.lock().insert(topic.to_owned(), now);
        if before.is_some_and(|before| before.problem.is_some()) {
            info!(topic, "the table of dead letters follows its topic again");
        }
        show(topic, behind, false);
    }

    /// The table gets no letters of the topic for now.
    pub(super) fn stops(&self, topic: &str, problem: &str) {
        let mut all = self.0.lock();
        let behind = all.get(topic).map_or(0, |view| view.behind);
        let now = LetterFollowerView { behind, problem: Some(problem.to_owned()) };
        let before = all.insert(topic.to_owned(), now.clone());
        if before != Some(now) {
            error!(topic, problem, "the table of dead letters gets none for now; the engine tries again");
        }
        show(topic, behind, true);
    }
}

fn show(topic: &str, behind: i64, is_stopped: bool) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge for people")]
    gauge!("saga_dead_letters_behind", "topic" => topic.to_owned()).set(behind as f64);
    gauge!("saga_dead_letters_stopped", "topic" => topic.to_owned()).set(f64::from(u8::from(is_stopped)));
}

/// Counts letters that the table got.
pub(super) fn count_followed(letters: usize) {
    counter!("saga_dead_letters_followed_total").increment(letters as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_topic_that_cannot_be_followed_is_named_while_the_others_go_on() {
        let standing = LetterStanding::default();
        assert_eq!(standing.view(), None);
        standing.goes_on("dlq", 3);
        standing.stops("shop.dlq", "shop.dlq cannot be read");
        let problem = Some("shop.dlq cannot be read".to_owned());
        assert_eq!(standing.view(), Some(LetterFollowerView { behind: 3, problem }));
        standing.goes_on("shop.dlq", 1);
        assert_eq!(standing.view(), Some(LetterFollowerView { behind: 4, problem: None }));
        standing.left();
        assert_eq!(standing.view(), None);
    }
}
