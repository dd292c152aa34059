//! One request for a token, and its answer.

use super::IssuedToken;
use crate::transport::http::{
    client::{ConnectFailure, HttpClient, HttpExchangeError, OutboundRequest},
    io_timeouts::ReadWriteTimeouts,
    process_timeout, response_body, usual_headers,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use saga_base::secrets;
use saga_core::definition::participants::{ClientCredentials, CredentialPlace};
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

/// For a request as a whole.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer: tokens with many claims have some kilobytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How long a token is used whose issuer does not say how long it is valid.
const UNSAID_LIFE: Duration = Duration::from_secs(5 * 60);
/// Longest time for which a token is used, whatever its issuer says: what was revoked there is noticed at last.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// A token is renewed when this share of its life is over.
const RENEWED_AT_PERCENT: u32 = 80;
/// Characters of what an issuer says that are shown.
const MESSAGE_CHARS: usize = 200;

/// Whom to ask for tokens, and as who.
#[derive(Debug)]
pub(super) struct TokenGrant {
    pub(super) client: HttpClient,
    pub(super) url: Url,
    pub(super) credentials: ClientCredentials,
}

/// Why there is no token. The call that needs it was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::transport::http) enum TokenFailure {
    /// The issuer says no, or its address may not be called: the same again would not help.
    #[error("{0}")]
    Refused(String),
    /// The issuer did not answer, or not with what an issuer answers.
    #[error("{0}")]
    Unreachable(String),
}

impl TokenGrant {
    /// Asks for a token.
    pub(super) async fn issue(&self) -> Result<IssuedToken, TokenFailure> {
        let asked = Instant::now();
        let answered = process_timeout::within(asked + TIMEOUT, TIMEOUT, self.answer()).await;
        let late = || self.unreachable(&format!("no complete answer within {TIMEOUT:?}"));
        let (status, body) = answered.unwrap_or_else(|| Err(late()))?;
        // Numbers keep their digits as text, so nothing is derived here.
        let said: Option<Map<String, Value>> = serde_json::from_slice(&body).ok();
        let text = |key: &str| said.as_ref().and_then(|said| said.get(key)).and_then(Value::as_str);
        // What it issued is a secret, whether or not it can be used.
        secrets::remember_issued(text("access_token").map(str::to_owned));
        if !status.is_success() {
            return Err(self.refused(status, text("error"), text("error_description")));
        }
        let token = text("access_token").ok_or_else(|| self.unreachable("the answer has no `access_token`"))?;
        if let Some(kind) = text("token_type").filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(
                self.failed(TokenFailure::Refused, &format!("the token is a `{}` and no bearer token", cut(kind)))
            );
        }
        let life = said.as_ref().and_then(|said| said.get("expires_in")).map_or(UNSAID_LIFE, life);
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| self.unreachable("the token has signs that no header takes"))?;
        header.set_sensitive(true);
        Ok(IssuedToken { header, renew_at: asked + life * RENEWED_AT_PERCENT / 100, expires_at: asked + life })
    }

    async fn answer(&self) -> Result<(StatusCode, Vec<u8>), TokenFailure> {
        let answer = self.client.send(&self.request(), ReadWriteTimeouts::default()).await;
        let answer = answer.map_err(|missed| self.missed(missed))?;
        let status = answer.status();
        let body = response_body::read(answer, MAX_ANSWER_BYTES, None).await;
        Ok((status, body.map_err(|error| self.unreachable(&format!("its answer cannot be read: {error:?}")))?))
    }

    fn request(&self) -> OutboundRequest {
        let ClientCredentials { client_id, client_secret, scope, audience, secret_in, .. } = &self.credentials;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        let further = [("scope", scope), ("audience", audience)];
        form.extend_pairs(further.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))));
        let mut request = OutboundRequest::new(Method::POST, self.url.clone());
        request.headers = usual_headers();
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        match secret_in {
            CredentialPlace::Header => {
                request.headers.insert(AUTHORIZATION, basic(client_id, client_secret.reveal()));
            }
            CredentialPlace::Body => {
                form.append_pair("client_id", client_id).append_pair("client_secret", client_secret.reveal());
            }
        }
        request.body = form.finish().into();
        request
    }

    fn missed(&self, missed: HttpExchangeError) -> TokenFailure {
        match missed {
            HttpExchangeError::NotConnected { why: ConnectFailure::Refused(refused), .. } => {
                self.failed(TokenFailure::Refused, &refused.to_string())
            }
            HttpExchangeError::NotConnected { why: ConnectFailure::Unreachable(why), .. }
            | HttpExchangeError::Broken(why)
            | HttpExchangeError::NotHttp(why) => self.unreachable(&why),
            HttpExchangeError::Late(late) => self.unreachable(&format!("too late: {late:?}")),
        }
    }

    /// 5xx and 429 pass; everything else is the issuer's word.
    fn refused(&self, status: StatusCode, error: Option<&str>, description: Option<&str>) -> TokenFailure {
        let said: Vec<&str> = [error, description].into_iter().flatten().collect();
        let message = format!("{} {}", status.as_u16(), cut(&said.join(": ")));
        let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
        self.failed(if passes { TokenFailure::Unreachable } else { TokenFailure::Refused }, &message)
    }

    fn unreachable(&self, why: &str) -> TokenFailure {
        self.failed(TokenFailure::Unreachable, why)
    }

    fn failed(&self, kind: fn(String) -> TokenFailure, why: &str) -> TokenFailure {
        let place = secrets::address_shown(self.url.as_str());
        kind(secrets::covered(&format!("no token from {place}, so nothing was sent: {}", why.trim())).into_owned())
    }
}

/// Both are form-encoded first: RFC 6749, section 2.3.1.
fn basic(id: &str, secret: &str) -> HeaderValue {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
    let mut header = HeaderValue::try_from(format!("Basic {pair}")).expect("base64 has only signs that a header takes");
    header.set_sensitive(true);
    header
}

/// `expires_in`: seconds, which some issuers write as a text.
fn life(said: &Value) -> Duration {
    let digits = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
    digits.parse().map_or(UNSAID_LIFE, Duration::from_secs).min(LONGEST_LIFE)
}

/// For people, and for one line.
fn cut(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_control()).take(MESSAGE_CHARS).collect()
}
