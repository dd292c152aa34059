//! The table of dead letters that does not follow its topic, as JSON.

use saga_engine::letters::LetterFollowerView;
use serde_json::{Value, json};

/// The table in the answer of `/health/ready`; `None`: it follows, or another engine fills it.
pub(super) fn shown(view: &LetterFollowerView) -> Option<Value> {
    let problem = view.problem.as_ref()?;
    Some(json!({"behind": view.behind, "problem": problem}))
}
