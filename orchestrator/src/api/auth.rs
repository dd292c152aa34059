//! Who calls, and whether the caller may. One layer finds out who it is; each route refuses whom it is not for. What no
//! route has judged is refused, too, so that a stranger learns nothing of what is there.

mod caller;
mod credentials;
mod refusals;
mod session;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod token_tests;

pub(super) use caller::ApiCaller;
pub(super) use session::{begin as begin_session, end as end_session, show as show_session};

use super::{context::RequestContext, errors::ApiError, permission::RoutePermission};
use crate::{
    config::ApiAccess,
    login::{LoginGate, LoginRefusal, LoginRole},
};
use anyhow::bail;
use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use credentials::RequestCredentials;
use refusals::RefusalLog;
use std::{net::SocketAddr, sync::Arc};
use tracing::warn;

/// How callers come in.
#[derive(Clone, Debug)]
pub(crate) enum ApiDoor {
    /// Everybody who reaches the API may everything.
    Open,
    /// Who has logged in may what the role allows.
    Guarded(Arc<GuardedDoor>),
}

/// A door with a login.
#[derive(Debug)]
pub(crate) struct GuardedDoor {
    gate: LoginGate,
    open_metrics: bool,
    cookie: session::CookieKind,
    refusals: RefusalLog,
}

/// What a request says of its sender.
#[derive(Clone, Debug)]
enum CallerFinding {
    Known(Box<ApiCaller>),
    /// The request has no login.
    Nobody,
    /// It has one that is not valid.
    Invalid,
    /// It has a session, and was not sent by our own pages.
    ForeignPage,
}

impl CallerFinding {
    /// Why the caller may not do what needs `role`; `None`: the caller may.
    fn refusal(&self, role: LoginRole) -> Option<ApiError> {
        match self {
            CallerFinding::Known(caller) => caller.require(role).err(),
            CallerFinding::Nobody => Some(ApiError::LoginRequired),
            CallerFinding::Invalid => Some(ApiError::BadLogin),
            CallerFinding::ForeignPage => Some(ApiError::ForeignPage),
        }
    }
}

/// A route has decided about the caller of this answer.
#[derive(Clone, Copy, Debug)]
struct RouteJudged;

impl ApiDoor {
    /// The door that the configuration describes.
    ///
    /// # Errors
    /// The configuration does not describe one, or its file of keys cannot be read.
    pub(crate) fn open(access: &ApiAccess, listen: SocketAddr) -> anyhow::Result<ApiDoor> {
        match access {
            ApiAccess::Local => Ok(ApiDoor::Open),
            ApiAccess::Insecure => {
                warn!(
                    address = %listen,
                    "THE API HAS NO LOGIN (api.insecure): everybody who reaches it reads payloads and acts on sagas"
                );
                Ok(ApiDoor::Open)
            }
            ApiAccess::Login(login) => {
                let cookie = session::CookieKind::of(listen);
                let open_metrics = login.open_metrics;
                let gate = LoginGate::open(login.as_ref().clone())?;
                Ok(ApiDoor::Guarded(Arc::new(GuardedDoor {
                    gate,
                    open_metrics,
                    cookie,
                    refusals: RefusalLog::default(),
                })))
            }
            ApiAccess::Undecided => bail!("others can reach {listen}, and the API has no login: see docs/security.md"),
        }
    }

    /// The role that a route needs; `None`: it needs no login.
    pub(super) fn needs(&self, permission: RoutePermission) -> Option<LoginRole> {
        match (permission, self) {
            (RoutePermission::Open, _) => None,
            (RoutePermission::Scrape, ApiDoor::Guarded(door)) if door.open_metrics => None,
            (RoutePermission::Scrape | RoutePermission::Read, _) => Some(LoginRole::Viewer),
            (RoutePermission::Act, _) => Some(LoginRole::Operator),
            (RoutePermission::Administer, _) => Some(LoginRole::Admin),
        }
    }

    async fn finding(&self, credentials: RequestCredentials, context: RequestContext) -> CallerFinding {
        match self {
            ApiDoor::Open => CallerFinding::Known(Box::new(ApiCaller::anybody(context))),
            ApiDoor::Guarded(door) => door.finding(credentials, context).await,
        }
    }
}

impl GuardedDoor {
    async fn finding(&self, credentials: RequestCredentials, context: RequestContext) -> CallerFinding {
        let verified = match credentials {
            RequestCredentials::None => return CallerFinding::Nobody,
            RequestCredentials::Malformed => Err(LoginRefusal { class: "malformed header", kid: None }),
            RequestCredentials::Bearer(presented) => self.gate.bearer(&presented).await,
            RequestCredentials::Session { cookie, page_token, changes } => match self.gate.session(&cookie) {
                Ok(content) if changes && !session::is_of_our_page(&content, page_token.as_deref()) => {
                    return CallerFinding::ForeignPage;
                }
                opened => opened.map(|content| content.identity),
            },
        };
        match verified {
            Ok(identity) => CallerFinding::Known(Box::new(ApiCaller::known(identity, context))),
            Err(refused) => {
                self.refusals.note(&refused, &context);
                CallerFinding::Invalid
            }
        }
    }
}

/// The layer around all routes: finds out who calls.
pub(super) async fn identified(door: ApiDoor, mut request: Request, next: Next) -> Response {
    let context = RequestContext::of_request(&request);
    let finding = door.finding(RequestCredentials::of(&request), context).await;
    let refusal = finding.refusal(LoginRole::Viewer);
    request.extensions_mut().insert(finding);
    let response = next.run(request).await;
    let is_judged = response.extensions().get::<RouteJudged>().is_some();
    match refusal {
        Some(error) if !is_judged => error.into_response(),
        Some(_) | None => response,
    }
}

/// The layer of one route: refuses whom it is not for. Without [`identified`] around it, that is everybody.
pub(super) async fn judged(needs: Option<LoginRole>, request: Request, next: Next) -> Response {
    let finding = request.extensions().get::<CallerFinding>();
    let refusal = needs.and_then(|role| finding.map_or(Some(ApiError::LoginRequired), |found| found.refusal(role)));
    let mut response = match refusal {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    };
    response.extensions_mut().insert(RouteJudged);
    response
}
