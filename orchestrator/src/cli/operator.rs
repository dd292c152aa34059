//! What all commands that act on sagas or guards share: the operator, the reason, and the line with the result of the
//! act.

use crate::{api::ActStatus, visible};
use clap::Args;
use serde_json::{Value, json};

/// The operator and the reason.
#[derive(Clone, Debug, Args)]
pub(super) struct OperatorArgs {
    /// Why you act; recorded with the act
    #[arg(long)]
    pub(super) reason: String,
    /// Your name; recorded with the act. By default that of the login (--token), without one your login name here
    #[arg(long)]
    pub(super) who: Option<String>,
}

impl OperatorArgs {
    /// What the body of every act holds. Without a name the client of the API fills one in, if it needs one.
    pub(super) fn body(&self) -> Value {
        json!({"who": self.who, "reason": self.reason})
    }
}

/// `retry 4711: applied`: one line for one act, whatever text of strangers is in it.
pub(super) fn line(action: &str, on: &str, outcome: &str) -> String {
    visible::in_line(&format!("{action} {on}: {outcome}")).into_owned()
}

/// Whether an engine has taken the act and not yet applied it.
pub(super) fn is_only_accepted(answer: &Value) -> bool {
    answer["status"] == ActStatus::Accepted.as_str()
}
