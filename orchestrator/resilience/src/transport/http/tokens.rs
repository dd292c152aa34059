//! Bearer tokens that the engine gets for a participant by the client credentials grant: RFC 6749, section 4.4.
//!
//! A token is renewed after four fifths of its life, by one caller while all others go on with it. One that a
//! participant refused with 401 is not used again. Without a token nothing is sent.

mod grant;
#[cfg(test)]
mod tests;

pub(super) use grant::TokenFailure;

use super::{HttpSettingsError, client::HttpClient};
use arc_swap::ArcSwapOption;
use grant::TokenGrant;
use hyper::header::HeaderValue;
use saga_core::definition::participants::ClientCredentials;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::Instant,
};
use tracing::{info, warn};
use url::Url;

/// For so long a failure stands for the next one: a thousand calls that wait for a token are one question.
const FAILURE_STANDS: Duration = Duration::from_secs(1);

/// The tokens of one participant.
#[derive(Debug)]
pub(super) struct TokenSource {
    participant: String,
    grant: TokenGrant,
    cached: ArcSwapOption<IssuedToken>,
    /// Whoever has it asks for a token; the others wait, or go on with the one that is still valid.
    renewal: Arc<Mutex<Option<RecentFailure>>>,
}

/// A token, as it is sent.
#[derive(Debug)]
pub(super) struct IssuedToken {
    header: HeaderValue,
    renew_at: Instant,
    expires_at: Instant,
}

#[derive(Debug)]
struct RecentFailure {
    failure: TokenFailure,
    until: Instant,
}

impl IssuedToken {
    /// The value of `Authorization`.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl TokenSource {
    /// Asks nobody yet.
    pub(super) fn new(
        participant: &str,
        credentials: &ClientCredentials,
        client: HttpClient,
    ) -> Result<Arc<TokenSource>, HttpSettingsError> {
        let url = Url::parse(&credentials.token_url).map_err(|error| HttpSettingsError::Endpoint {
            participant: participant.to_owned(),
            url: saga_base::secrets::address_shown(&credentials.token_url),
            reason: error.to_string(),
        })?;
        Ok(Arc::new(TokenSource {
            participant: participant.to_owned(),
            grant: TokenGrant { client, url, credentials: credentials.clone() },
            cached: ArcSwapOption::empty(),
            renewal: Arc::default(),
        }))
    }

    /// Whether it asks in the same way as one with these credentials.
    pub(super) fn is_of(&self, credentials: &ClientCredentials) -> bool {
        self.grant.credentials == *credentials
    }

    /// A token that is valid now.
    ///
    /// # Errors
    /// When there is none, and none can be had.
    pub(super) async fn token(self: &Arc<Self>) -> Result<Arc<IssuedToken>, TokenFailure> {
        let now = Instant::now();
        match self.cached.load_full() {
            Some(token) if now < token.renew_at => Ok(token),
            Some(token) if now < token.expires_at => {
                self.renew_beside();
                Ok(token)
            }
            Some(_) | None => self.issued().await,
        }
    }

    /// Does not use `refused` any more. Another one that was issued meanwhile stays.
    pub(super) fn invalidate(&self, refused: &Arc<IssuedToken>) {
        let dropped = self.cached.compare_and_swap(refused, None);
        if dropped.as_ref().is_some_and(|dropped| Arc::ptr_eq(dropped, refused)) {
            info!(participant = self.participant, "a token was refused; the next call gets another one");
        }
    }

    fn renew_beside(self: &Arc<Self>) {
        let Ok(last) = Arc::clone(&self.renewal).try_lock_owned() else { return };
        let source = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(failure) = source.renewed(last).await {
                warn!(participant = source.participant, "a token is not renewed, the present one goes on: {failure}");
            }
        });
    }

    async fn issued(&self) -> Result<Arc<IssuedToken>, TokenFailure> {
        let last = Arc::clone(&self.renewal).lock_owned().await;
        // Whoever was before may have brought one.
        match self.cached.load_full() {
            Some(token) if Instant::now() < token.renew_at => Ok(token),
            Some(_) | None => self.renewed(last).await,
        }
    }

    async fn renewed(
        &self,
        mut last: OwnedMutexGuard<Option<RecentFailure>>,
    ) -> Result<Arc<IssuedToken>, TokenFailure> {
        if let Some(recent) = last.as_ref().filter(|recent| Instant::now() < recent.until) {
            return Err(recent.failure.clone());
        }
        let issued = self.grant.issue().await;
        self.count(&issued);
        match issued {
            Ok(token) => {
                let token = Arc::new(token);
                self.cached.store(Some(Arc::clone(&token)));
                *last = None;
                Ok(token)
            }
            Err(failure) => {
                *last = Some(RecentFailure { failure: failure.clone(), until: Instant::now() + FAILURE_STANDS });
                Err(failure)
            }
        }
    }

    fn count(&self, issued: &Result<IssuedToken, TokenFailure>) {
        let outcome = match issued {
            Ok(_) => "issued",
            Err(TokenFailure::Refused(_)) => "refused",
            Err(TokenFailure::Unreachable(_)) => "unreachable",
        };
        let labels = [("participant", self.participant.clone()), ("outcome", outcome.to_owned())];
        metrics::counter!("saga_token_requests_total", &labels).increment(1);
    }
}
