//! Acts of operators, on one saga, on many and on guards: who acts and why is checked, recorded, logged and answered in
//! one way.

mod guard;
mod rerun;
mod saga;

pub(super) use guard::act as act_on_guard;
pub(super) use rerun::act as rerun_saga;
pub(super) use saga::{about, act as act_on_saga, act_id, allowed, needs_definition, parse, waits};

pub(crate) use super::statement::ActStatus;
pub(super) use super::statement::OperatorStatement;

use serde::Deserialize;
use tokio::task::JoinError;

/// The body of an act for which nobody has to say why.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ShortActBody {
    pub(super) who: Option<String>,
    pub(super) reason: Option<String>,
}

/// Runs `act` in a task of its own: a client that closes its connection does not take its act back.
pub(super) async fn to_its_end<T: Send + 'static>(
    act: impl Future<Output = T> + Send + 'static,
) -> Result<T, JoinError> {
    tokio::spawn(act).await
}
