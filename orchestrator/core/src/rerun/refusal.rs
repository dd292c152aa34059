//! Why a saga cannot be run again, and what to write instead.

use super::{standing::StandingStep, taking::NotTaken};
use crate::state::SagaStatus;

/// Why a saga cannot be run again as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RerunRefusal {
    /// It has not ended.
    #[error("the saga is {status}: only a saga that has ended can be run again; cancel or abandon it first, or retry it", status = .0.as_str())]
    NotEnded(SagaStatus),
    /// An operator erased what it was started with.
    #[error("the saga is erased: what it was started with is not known any more")]
    Erased,
    /// The definition is of another saga: the name that it has to have, and the one that it has.
    #[error("the saga runs by `{0}`, the definition is of `{1}`: name a definition of `{0}`")]
    OtherSaga(String, String),
    /// The definition of the rerun has no such step: its name, and a guess.
    #[error("the definition has no step `{0}`{1}")]
    NoStep(String, String),
    /// Steps that would be taken over do not stand.
    #[error("a rerun from `{from}` takes over what comes before it, but {list}: begin at one of them, or run the whole saga again, without a step", list = not_taken(refused))]
    NotTaken {
        /// The step that the rerun was to begin with.
        from: String,
        /// The steps, and why each cannot be taken over.
        refused: Vec<(String, NotTaken)>,
    },
    /// Effects would stay beside those of the rerun, or the rerun would begin behind the pivot.
    #[error("{what}; add --force (\"force\": true) if that is meant", what = needs_force(standing, pivot.as_deref()))]
    NeedsForce {
        /// Steps whose effects stand, or may, and that would be performed again.
        standing: Vec<StandingStep>,
        /// The pivot, if it is taken over.
        pivot: Option<String>,
    },
}

fn not_taken(refused: &[(String, NotTaken)]) -> String {
    refused.iter().map(|(step, why)| format!("`{step}` {why}")).collect::<Vec<_>>().join(", ")
}

fn needs_force(standing: &[StandingStep], pivot: Option<&str>) -> String {
    let effects = standing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let effects = (!standing.is_empty()).then(|| {
        format!(
            "the rerun would not take over effects that stand: {effects}. To take them over, begin with a later step. \
             Otherwise they stay beside the effects of the rerun, and nothing undoes them"
        )
    });
    let behind = pivot.map(|pivot| {
        format!("the rerun would begin behind the pivot `{pivot}`: it can only go forward, and does not compensate")
    });
    effects.into_iter().chain(behind).collect::<Vec<_>>().join("; ")
}
