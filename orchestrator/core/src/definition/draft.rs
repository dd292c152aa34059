//! A step as a file says it, before it is proved.

use super::{
    diagnostic::TextSpan,
    model::{FallbackRule, PolicyOverrides, StepAction, UndoDefinition},
    spanned::SpannedValue,
};
use crate::expression::CelExpression;
use std::time::Duration;

/// A step as it was read. What could not be read is absent, and has been reported.
pub(crate) struct StepDraft {
    pub(crate) name: SpannedValue<String>,
    /// The item it belongs to: its own, or its block.
    pub(crate) item: usize,
    pub(crate) after: Option<Vec<SpannedValue<String>>>,
    pub(crate) condition: Option<SpannedValue<CelExpression>>,
    pub(crate) action: Option<StepAction>,
    pub(crate) check: Option<SpannedValue<CelExpression>>,
    pub(crate) undo: Option<SpannedValue<Option<UndoDefinition>>>,
    pub(crate) cache: Option<SpannedValue<Duration>>,
    pub(crate) fallback: Vec<SpannedValue<FallbackRule>>,
    pub(crate) optional: Option<TextSpan>,
    pub(crate) pivot: Option<TextSpan>,
    pub(crate) read_only: Option<TextSpan>,
    pub(crate) irreversible: Option<TextSpan>,
    pub(crate) on_exhausted: Option<TextSpan>,
    pub(crate) timeout: Option<TextSpan>,
    /// The place of the participant or capability in the file.
    pub(crate) target: TextSpan,
    pub(crate) undo_target: Option<TextSpan>,
    pub(crate) overrides: PolicyOverrides,
}

impl StepDraft {
    pub(crate) fn is_wait(&self) -> bool {
        matches!(self.action, Some(StepAction::Wait(_)))
    }
}
