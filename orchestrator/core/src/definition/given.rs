//! What holds wherever an expression is evaluated, whatever it says itself: the trigger's `when` was true, its `key`
//! had a value, the step's `if` was true.

use super::{draft::StepDraft, model::TriggerDefinition, uses::ExpressionPlace};
use crate::expression::{CelExpression, PathFact};

/// Facts that hold at each place of a definition, without the expression there.
pub(crate) struct EstablishedFacts {
    when: Vec<PathFact>,
    /// Facts that hold once the saga has started.
    started: Vec<PathFact>,
    /// Facts that hold once a step has begun, by the step's position.
    begun: Vec<Vec<PathFact>>,
}

impl EstablishedFacts {
    pub(crate) fn of(trigger: Option<&TriggerDefinition>, drafts: &[StepDraft]) -> EstablishedFacts {
        let when = trigger.and_then(|trigger| trigger.when.as_ref()).map(CelExpression::facts).unwrap_or_default();
        let key = trigger.map(|trigger| trigger.key.expressions()).unwrap_or_default();
        let key = key.into_iter().filter_map(CelExpression::path);
        let key = key.flat_map(|path| [PathFact::Present(path.clone()), PathFact::NotNull(path)]);
        let started = when.iter().cloned().chain(key).collect();
        let condition = |draft: &StepDraft| draft.condition.as_ref().map(|condition| condition.value.facts());
        let begun = drafts.iter().map(|draft| condition(draft).unwrap_or_default()).collect();
        EstablishedFacts { when, started, begun }
    }

    /// What holds where an expression of this place is evaluated.
    pub(crate) fn at(&self, place: ExpressionPlace) -> Vec<PathFact> {
        match place {
            ExpressionPlace::When => Vec::new(),
            ExpressionPlace::Key => self.when.clone(),
            ExpressionPlace::If(_) | ExpressionPlace::Output => self.started.clone(),
            ExpressionPlace::Do(at)
            | ExpressionPlace::Check(at)
            | ExpressionPlace::Fallback(at)
            | ExpressionPlace::Undo(at) => self.started.iter().chain(&self.begun[at]).cloned().collect(),
        }
    }
}
