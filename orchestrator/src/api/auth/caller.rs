//! The caller of a request, as handlers see it.

use super::{
    super::{context::RequestContext, errors::ApiError},
    CallerFinding,
};
use crate::login::{LoginIdentity, LoginRole};
use axum::{extract::FromRequestParts, http::request::Parts};
use saga_core::act_author::ActOrigin;
use saga_engine::journal::{payloads::PayloadDetail, sensitive::SensitiveDetail};
use tracing::info;

/// The name on record of who has no login and says no name.
const ANONYMOUS: &str = "anonymous";

/// Who sent a request, and its context.
#[derive(Clone, Debug)]
pub(in crate::api) struct ApiCaller {
    pub(in crate::api) context: RequestContext,
    /// `None`: the API has no login.
    identity: Option<LoginIdentity>,
}

impl ApiCaller {
    pub(super) fn anybody(context: RequestContext) -> ApiCaller {
        ApiCaller { context, identity: None }
    }

    pub(super) fn known(identity: LoginIdentity, context: RequestContext) -> ApiCaller {
        ApiCaller { context, identity: Some(identity) }
    }

    pub(in crate::api) fn identity(&self) -> Option<&LoginIdentity> {
        self.identity.as_ref()
    }

    /// An error unless the caller's role is at least `needs`.
    pub(in crate::api) fn require(&self, needs: LoginRole) -> Result<(), ApiError> {
        match &self.identity {
            Some(known) if known.grant.role < needs => Err(ApiError::Forbidden { needs, has: known.grant.role }),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the caller may see what sagas and dead letters carry.
    pub(in crate::api) fn sees_payloads(&self) -> bool {
        self.identity.as_ref().is_none_or(|known| known.grant.payloads)
    }

    /// As much of payloads as was asked for and the caller may see.
    pub(in crate::api) fn payloads(&self, asked: PayloadDetail) -> PayloadDetail {
        if self.sees_payloads() { asked } else { PayloadDetail::Hidden }
    }

    /// Whether sensitive values are shown: to an admin who may see payloads, and asks.
    pub(in crate::api) fn sensitive(&self, asked: Option<&str>) -> Result<SensitiveDetail, ApiError> {
        match asked {
            None | Some("masked") => Ok(SensitiveDetail::Masked),
            Some("shown") => {
                self.require(LoginRole::Admin)?;
                if !self.sees_payloads() {
                    return Ok(SensitiveDetail::Masked);
                }
                let (peer, request_id) = (self.context.peer_shown(), &self.context.request_id);
                info!(who = self.name(), peer, %request_id, "somebody asks for sensitive values");
                Ok(SensitiveDetail::Shown)
            }
            Some(other) => Err(ApiError::BadParameter(format!("`sensitive` is `{other}`: expected masked or shown"))),
        }
    }

    /// The name of the login; `anonymous` without one.
    pub(in crate::api) fn name(&self) -> &str {
        self.identity.as_ref().map_or(ANONYMOUS, |known| &known.subject)
    }

    /// From where the act of this caller comes, for the audit.
    pub(in crate::api) fn origin(&self) -> ActOrigin {
        let known = self.identity.as_ref();
        ActOrigin {
            subject: known.map(|known| known.subject.clone()),
            token: known.map(|known| known.proof.told()),
            address: Some(self.context.peer_shown()),
            request: Some(self.context.request_id.to_string()),
        }
    }

    /// The name on record for an act: that of the login, else what the body says.
    pub(in crate::api) fn who(&self, said: Option<String>) -> Result<String, ApiError> {
        match (&self.identity, said) {
            (None, Some(who)) => Ok(who),
            (None, None) => {
                Err(ApiError::BadValue("missing field `who`: without a login the body says who acts".into()))
            }
            (Some(known), None) => Ok(known.subject.clone()),
            (Some(known), Some(who)) if who == known.subject => Ok(who),
            (Some(known), Some(_)) => Err(ApiError::OtherOperator(known.subject.clone())),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for ApiCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<ApiCaller, ApiError> {
        match parts.extensions.get::<CallerFinding>() {
            Some(CallerFinding::Known(caller)) => Ok(caller.as_ref().clone()),
            Some(other) => Err(other.refusal(LoginRole::Viewer).unwrap_or(ApiError::LoginRequired)),
            None => Err(ApiError::LoginRequired),
        }
    }
}
