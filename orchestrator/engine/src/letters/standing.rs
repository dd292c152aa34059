//! How the table of dead letters stands, for operators.

use metrics::{counter, gauge};
use saga_base::sync::UnpoisonedMutex;
use tracing::{error, info};

/// How the table stands, as the engine that fills it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterFollowerView {
    /// Records of the topic that the table does not have yet.
    pub behind: i64,
    /// Why the table gets none now; `None`: it gets them.
    pub problem: Option<String>,
}

/// What the follower says about the table.
#[derive(Debug, Default)]
pub(crate) struct LetterStanding(UnpoisonedMutex<Option<LetterFollowerView>>);

impl LetterStanding {
    /// How the table stands; `None`: another engine fills it.
    #[must_use]
    pub(crate) fn view(&self) -> Option<LetterFollowerView> {
        self.0.lock().clone()
    }

    /// Another engine fills the table.
    pub(super) fn left(&self) {
        *self.0.lock() = None;
        show(0, false);
    }

    /// The table goes on.
    pub(super) fn goes_on(&self, behind: i64) {
        let before = self.0.lock().replace(LetterFollowerView { behind, problem: None });
        if before.is_some_and(|before| before.problem.is_some()) {
            info!("the table of dead letters follows its topic again");
        }
        show(behind, false);
    }

    /// The table gets no letters for now.
    pub(super) fn stops(&self, problem: &str) {
        let behind = self.view().map_or(0, |view| view.behind);
        let now = LetterFollowerView { behind, problem: Some(problem.to_owned()) };
        let before = self.0.lock().replace(now.clone());
        if before != Some(now) {
            error!(problem, "the table of dead letters gets none for now; the engine tries again");
        }
        show(behind, true);
    }
}

fn show(behind: i64, is_stopped: bool) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge for people")]
    gauge!("saga_dead_letters_behind").set(behind as f64);
    gauge!("saga_dead_letters_stopped").set(f64::from(u8::from(is_stopped)));
}

/// Counts letters that the table got.
pub(super) fn count_followed(letters: usize) {
    counter!("saga_dead_letters_followed_total").increment(letters as u64);
}
