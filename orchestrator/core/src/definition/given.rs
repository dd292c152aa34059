//! What holds wherever an expression is evaluated, whatever it says itself: the trigger's `when` was true, its `key` had a value, the step's `if`
//! was true.

use super::{model::Trigger, steps::Draft, uses::Place};
use crate::expression::{Expression, Fact};

/// What holds, by place.
pub(crate) struct Given {
    when: Vec<Fact>,
    /// Once the saga has started.
    started: Vec<Fact>,
    /// Once a step has begun, by step.
    begun: Vec<Vec<Fact>>,
}

impl Given {
    pub(crate) fn of(trigger: Option<&Trigger>, drafts: &[Draft]) -> Given {
        let when = trigger.and_then(|trigger| trigger.when.as_ref()).map(Expression::facts).unwrap_or_default();
        let key = trigger.map(|trigger| trigger.key.expressions()).unwrap_or_default();
        let key = key.into_iter().filter_map(Expression::path);
        let key = key.flat_map(|path| [Fact::Present(path.clone()), Fact::NotNull(path)]);
        let started = when.iter().cloned().chain(key).collect();
        let condition = |draft: &Draft| draft.condition.as_ref().map(|condition| condition.value.facts());
        let begun = drafts.iter().map(|draft| condition(draft).unwrap_or_default()).collect();
        Given { when, started, begun }
    }

    /// What holds where an expression of this place is evaluated.
    pub(crate) fn at(&self, place: Place) -> Vec<Fact> {
        match place {
            Place::When => Vec::new(),
            Place::Key => self.when.clone(),
            Place::If(_) | Place::Output => self.started.clone(),
            Place::Do(at) | Place::Check(at) | Place::Fallback(at) | Place::Undo(at) => {
                self.started.iter().chain(&self.begun[at]).cloned().collect()
            }
        }
    }
}
