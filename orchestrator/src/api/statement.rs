//! Who acts, why, and what became of the act: checked, recorded and logged in one way.

use super::{auth::ApiCaller, context::RequestContext, errors::ApiError};
use axum::http::StatusCode;
use saga_core::act_author::{ActAuthor, ActOrigin};
use saga_engine::{
    OperatorHandle,
    act_log::{ActedPart, PartAct},
};
use saga_resilience::overrides::check_texts;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::fmt::Display;
use tracing::info;

/// Who acts and why: every act carries it into its record.
#[derive(Clone, Debug)]
pub(super) struct OperatorStatement {
    pub(super) who: String,
    pub(super) reason: String,
    pub(super) origin: ActOrigin,
    context: RequestContext,
}

impl OperatorStatement {
    /// Refuses a text that cannot be put on record.
    pub(super) fn checked(
        caller: &ApiCaller,
        who: Option<String>,
        reason: String,
    ) -> Result<OperatorStatement, ApiError> {
        let who = caller.who(who)?;
        check_texts(&who, &reason).map_err(ApiError::BadValue)?;
        Ok(OperatorStatement { who, reason, origin: caller.origin(), context: caller.context.clone() })
    }

    /// The same for an act for which nobody has to say why: without a reason, and without a login also without a name.
    pub(super) fn short(
        caller: &ApiCaller,
        who: Option<String>,
        reason: Option<String>,
    ) -> Result<OperatorStatement, ApiError> {
        let who = who.filter(|_| caller.identity().is_none()).unwrap_or_else(|| caller.name().to_owned());
        let reason = reason.unwrap_or_default();
        let said = if reason.is_empty() { "-" } else { &reason };
        check_texts(&who, said).map_err(ApiError::BadValue)?;
        Ok(OperatorStatement { who, reason, origin: caller.origin(), context: caller.context.clone() })
    }

    /// The author of the act, as it is on record.
    pub(super) fn author(&self) -> ActAuthor {
        ActAuthor { who: self.who.clone(), reason: self.reason.clone(), origin: self.origin.clone() }
    }

    /// Puts an act on record that has no record of its own, and logs it. Its effect comes after.
    pub(super) async fn record(
        &self,
        operator: &OperatorHandle,
        action: &str,
        (kind, name): (ActedPart, &str),
        (before, after): (Value, Value),
    ) -> Result<(), ApiError> {
        let act = PartAct { before, after, ..PartAct::new(&self.author(), action, kind, name) };
        let id = operator.record_act(&act).await?;
        self.log(action, name, id, ActStatus::Applied);
        Ok(())
    }

    /// The one log line of an act, as soon as its outcome is known. `on` is the saga, the job or the participant.
    pub(super) fn log(&self, action: &str, on: impl Display, id: impl Display, status: ActStatus) {
        let (who, reason, status) = (&self.who, &self.reason, status.as_str());
        let RequestContext { request_id, correlation_id, trace_id, .. } = &self.context;
        let peer = self.context.peer_shown();
        info!(action, %on, %id, who, reason, status, peer, %request_id, %correlation_id, %trace_id, "an operator acted");
    }
}

/// The outcome of an act that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActStatus {
    /// The act is on record and in effect.
    Applied,
    /// The act is on its way; a repeat under the same id tells what became of it and changes nothing else.
    Accepted,
    /// The caller asked for a dry run, and the act would change something.
    DryRun,
    /// The caller asked for a dry run, and the act would change nothing.
    NoChange,
    /// What the act does was done already, by another act.
    Done,
}

impl ActStatus {
    /// The word of the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ActStatus::Applied => "applied",
            ActStatus::Accepted => "accepted, not yet applied",
            ActStatus::DryRun => "not applied: dry run",
            ActStatus::NoChange => "would change nothing",
            ActStatus::Done => "done already by another act",
        }
    }

    pub(super) fn code(self) -> StatusCode {
        match self {
            ActStatus::Accepted => StatusCode::ACCEPTED,
            ActStatus::Applied | ActStatus::DryRun | ActStatus::NoChange | ActStatus::Done => StatusCode::OK,
        }
    }
}

impl Serialize for ActStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
