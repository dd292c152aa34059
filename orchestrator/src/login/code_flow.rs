//! Login through the issuer's own page (OpenID Connect, authorization code with PKCE). What a login needs until the
//! browser comes back is in a sealed cookie, so that every engine with the key can end it and none has to remember it.

use super::{
    discovery::{EndpointSource, bounded_json},
    identity::LoginIdentity,
    jwks::IssuerKeySource,
    refusal::LoginRefusal,
    session::{SessionSeal, random},
    token::TokenRules,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Url;
use ring::{
    digest::{SHA256, digest},
    error::Unspecified,
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq;

/// How long a login may take.
pub(crate) const LOGIN_LIFE: Duration = Duration::from_secs(600);
/// What is sealed, so that no session passes for it.
const CONTEXT: &[u8] = b"saga login 1";
/// The longest code, and the longest place to go to.
const LONGEST: usize = 2_048;

/// How the pages log in at the issuer.
#[derive(Clone)]
pub(crate) struct CodeFlowConfig {
    pub(crate) client: String,
    /// `None`: a public client, which PKCE alone protects.
    pub(crate) secret: Option<String>,
    /// Where browsers reach `/login/callback` of this engine.
    pub(crate) callback: Url,
}

impl std::fmt::Debug for CodeFlowConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeFlowConfig").field("client", &self.client).field("callback", &self.callback).finish()
    }
}

/// What the browser brings back.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct CodeAnswer {
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) iss: Option<String>,
    pub(crate) error: Option<String>,
}

/// A login that has begun.
#[derive(Serialize, Deserialize)]
struct BegunLogin {
    state: String,
    nonce: String,
    verifier: String,
    next: String,
    until: u64,
}

/// A login that has ended well.
#[derive(Clone, Debug)]
pub(crate) struct EndedLogin {
    pub(crate) identity: LoginIdentity,
    /// The path to go to.
    pub(crate) next: String,
}

/// Logs browsers in at one issuer.
#[derive(Debug)]
pub(super) struct CodeFlow {
    config: CodeFlowConfig,
    /// For tokens that are for the client, not for the API.
    rules: TokenRules,
    endpoints: EndpointSource,
}

fn refused(class: &'static str) -> LoginRefusal {
    LoginRefusal::of(class)
}

impl CodeFlow {
    pub(super) fn new(config: CodeFlowConfig, rules: &TokenRules) -> anyhow::Result<CodeFlow> {
        let rules = TokenRules { audience: config.client.clone(), ..rules.clone() };
        Ok(CodeFlow { endpoints: EndpointSource::new(&rules.issuer)?, config, rules })
    }

    /// The address to send the browser to, and what it keeps until it comes back.
    pub(super) async fn begin(&self, seal: &SessionSeal, next: Option<&str>) -> Result<(Url, String), LoginRefusal> {
        let endpoints = self.endpoints.endpoints().await.ok_or_else(|| refused("issuer away"))?;
        let mut address = endpoints.authorization.clone().ok_or_else(|| refused("issuer without login page"))?;
        let begun = BegunLogin::new(next).map_err(|_| refused("no random bytes"))?;
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, begun.verifier.as_bytes()));
        address
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client)
            .append_pair("redirect_uri", self.config.callback.as_str())
            .append_pair("scope", "openid profile")
            .append_pair("state", &begun.state)
            .append_pair("nonce", &begun.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let text = serde_json::to_vec(&begun).map_err(|_| refused("malformed login"))?;
        let cookie = seal.seal_bytes(CONTEXT, text).map_err(|_| refused("no random bytes"))?;
        Ok((address, cookie))
    }

    /// Who has come back.
    pub(super) async fn end(
        &self,
        seal: &SessionSeal,
        source: &IssuerKeySource,
        cookie: &str,
        answer: CodeAnswer,
    ) -> Result<EndedLogin, LoginRefusal> {
        let begun = seal.open_bytes(CONTEXT, cookie).and_then(|text| serde_json::from_slice::<BegunLogin>(&text).ok());
        let begun = begun.filter(|begun| begun.until > seconds(SystemTime::now()));
        let begun = begun.ok_or_else(|| refused("unknown or late login"))?;
        let is_same = answer.state.is_some_and(|state| bool::from(state.as_bytes().ct_eq(begun.state.as_bytes())));
        if !is_same {
            return Err(refused("wrong state"));
        }
        if answer.iss.is_some_and(|issuer| issuer != self.rules.issuer) {
            return Err(refused("wrong issuer"));
        }
        if answer.error.is_some() {
            return Err(refused("refused by the issuer"));
        }
        let code = answer.code.filter(|code| code.len() <= LONGEST).ok_or_else(|| refused("no code"))?;
        let token = self.token_for(&code, &begun.verifier).await?;
        let identity = self.verified(source, &token, &begun.nonce).await?;
        Ok(EndedLogin { identity, next: begun.next })
    }

    async fn token_for(&self, code: &str, verifier: &str) -> Result<String, LoginRefusal> {
        let endpoints = self.endpoints.endpoints().await.ok_or_else(|| refused("issuer away"))?;
        let request = self.endpoints.client.post(endpoints.token.clone());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(self.form(code, verifier));
        let answer = request.send().await.map_err(|_| refused("issuer away"))?;
        if !answer.status().is_success() {
            return Err(refused("code not taken"));
        }
        let answer = bounded_json(answer).await.map_err(|_| refused("malformed answer"))?;
        answer["id_token"].as_str().map(str::to_owned).ok_or_else(|| refused("no ID token"))
    }

    fn form(&self, code: &str, verifier: &str) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", self.config.callback.as_str())
            .append_pair("client_id", &self.config.client)
            .append_pair("code_verifier", verifier);
        if let Some(secret) = &self.config.secret {
            form.append_pair("client_secret", secret);
        }
        form.finish()
    }

    async fn verified(
        &self,
        source: &IssuerKeySource,
        token: &str,
        nonce: &str,
    ) -> Result<LoginIdentity, LoginRefusal> {
        let (identity, claims) = self.rules.verified(token, source).await?;
        if claims.text("nonce") != Some(nonce) {
            return Err(refused("wrong nonce"));
        }
        if claims.has("azp") && claims.text("azp") != Some(self.config.client.as_str()) {
            return Err(refused("wrong azp"));
        }
        // A token of a login is valid for minutes: it says who logged in, not for how long.
        Ok(LoginIdentity { expires: None, ..identity })
    }
}

impl BegunLogin {
    fn new(next: Option<&str>) -> Result<BegunLogin, Unspecified> {
        let text = || Ok::<_, Unspecified>(URL_SAFE_NO_PAD.encode(random::<32>()?));
        let until = seconds(SystemTime::now() + LOGIN_LIFE);
        Ok(BegunLogin { state: text()?, nonce: text()?, verifier: text()?, next: own_path(next), until })
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A path of this engine, else the list: nobody is sent elsewhere by a link to the login.
fn own_path(next: Option<&str>) -> String {
    let is_own = |path: &&str| {
        let second = path.as_bytes().get(1);
        path.len() <= LONGEST
            && path.starts_with('/')
            && !matches!(second, Some(b'/' | b'\\'))
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(is_own).unwrap_or("/").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for own in ["/", "/sagas/4711?payloads=full", "/guards"] {
            assert_eq!(own_path(Some(own)), own);
        }
        for other in
            ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "/a\r\nx: y", "/ä", "", "/a\\b"]
        {
            assert_eq!(own_path(Some(other)), "/", "{other}");
        }
        assert_eq!((own_path(None), own_path(Some(&format!("/{}", "a".repeat(LONGEST))))), ("/".into(), "/".into()));
    }
}
