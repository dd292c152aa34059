//! A small provider of OpenID Connect, which can also answer as no honest one does.

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Url;
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// What is wrong with what the provider answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ProviderFault {
    #[default]
    None,
    Nonce,
    Issuer,
    Audience,
    Expired,
    Signature,
    /// The token is valid for no time.
    Short,
}

struct IssuedCode {
    challenge: String,
    nonce: String,
}

#[derive(Default)]
struct ProviderState {
    fault: ProviderFault,
    codes: HashMap<String, IssuedCode>,
    polls: u32,
}

/// The provider, at an address of this machine.
#[derive(Clone)]
pub(crate) struct TestProvider {
    pub(crate) base: String,
    key: Arc<Ed25519KeyPair>,
    other: Arc<Ed25519KeyPair>,
    state: Arc<Mutex<ProviderState>>,
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn key() -> Result<Arc<Ed25519KeyPair>> {
    let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok().context("a key")?;
    Ok(Arc::new(Ed25519KeyPair::from_pkcs8(made.as_ref()).ok().context("a key")?))
}

/// Names and values of a query or a form.
pub(crate) fn pairs(text: &str) -> HashMap<String, String> {
    let url = Url::parse(&format!("http://localhost/?{text}")).ok();
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}

impl TestProvider {
    pub(crate) async fn start() -> Result<TestProvider> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let provider = TestProvider { base, key: key()?, other: key()?, state: Arc::default() };
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/device", post(device))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(provider)
    }

    fn state(&self) -> MutexGuard<'_, ProviderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn answers_with(&self, fault: ProviderFault) {
        self.state().fault = fault;
    }

    fn signed(&self, audience: &str, nonce: Option<&str>) -> String {
        let fault = self.state().fault;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut claims = json!({
            "iss": if fault == ProviderFault::Issuer { "https://other.example/" } else { &self.base },
            "aud": if fault == ProviderFault::Audience { "others" } else { audience },
            "sub": "anna",
            "exp": if fault == ProviderFault::Expired { now - 3_600 } else { now + 600 },
            "iat": now,
            "roles": ["ops"],
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(if fault == ProviderFault::Nonce { "another" } else { nonce });
        }
        let message = format!("{}.{}", base64(r#"{"alg":"EdDSA","typ":"JWT","kid":"ed"}"#), base64(claims.to_string()));
        let key = if fault == ProviderFault::Signature { &self.other } else { &self.key };
        format!("{message}.{}", base64(key.sign(message.as_bytes())))
    }
}

fn as_json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn discovery(State(provider): State<TestProvider>) -> Response {
    let base = &provider.base;
    let body = json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "device_authorization_endpoint": format!("{base}/device"),
        "jwks_uri": format!("{base}/jwks"),
    });
    as_json(StatusCode::OK, &body)
}

async fn keys(State(provider): State<TestProvider>) -> Response {
    let x = base64(provider.key.public_key().as_ref());
    as_json(StatusCode::OK, &json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": x}]}))
}

async fn authorize(State(provider): State<TestProvider>, RawQuery(query): RawQuery) -> Response {
    let asked = pairs(&query.unwrap_or_default());
    let of = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let is_right =
        of("response_type") == "code" && of("client_id") == "saga-pages" && of("code_challenge_method") == "S256";
    if !is_right {
        return as_json(StatusCode::BAD_REQUEST, &json!({"error": "invalid_request"}));
    }
    let code = format!("CODE-{}", provider.state().codes.len());
    let issued = IssuedCode { challenge: of("code_challenge"), nonce: of("nonce") };
    provider.state().codes.insert(code.clone(), issued);
    let back = format!("{}?code={code}&state={}&iss={}", of("redirect_uri"), of("state"), provider.base);
    (StatusCode::SEE_OTHER, [(header::LOCATION, back)]).into_response()
}

async fn token(State(provider): State<TestProvider>, body: Bytes) -> Response {
    let form = pairs(&String::from_utf8_lossy(&body));
    let of = |name: &str| form.get(name).cloned().unwrap_or_default();
    let refused = |why: &str| as_json(StatusCode::BAD_REQUEST, &json!({"error": why}));
    if of("grant_type") != "authorization_code" {
        return polled(&provider, &of("device_code"));
    }
    // A code is for one use, and stays in the list so that the next one has another name.
    let Some(code) = provider.state().codes.get_mut(&of("code")).map(|code| std::mem::take(&mut code.challenge)) else {
        return refused("invalid_grant");
    };
    let proof = base64(digest(&SHA256, of("code_verifier").as_bytes()));
    if code.is_empty() || code != proof {
        return refused("invalid_grant");
    }
    let nonce = provider.state().codes.get(&of("code")).map(|code| code.nonce.clone());
    let answer = json!({"token_type": "Bearer", "id_token": provider.signed("saga-pages", nonce.as_deref())});
    as_json(StatusCode::OK, &answer)
}

/// The person confirms between the first and the second question.
fn polled(provider: &TestProvider, code: &str) -> Response {
    if code != "DEVICE" {
        return as_json(StatusCode::BAD_REQUEST, &json!({"error": "invalid_grant"}));
    }
    provider.state().polls += 1;
    if provider.state().polls % 2 == 1 {
        return as_json(StatusCode::BAD_REQUEST, &json!({"error": "authorization_pending"}));
    }
    let life = if provider.state().fault == ProviderFault::Short { 0 } else { 600 };
    let answer = json!({"token_type": "Bearer", "access_token": provider.signed("saga", None), "expires_in": life});
    as_json(StatusCode::OK, &answer)
}

async fn device(State(provider): State<TestProvider>) -> Response {
    let answer = json!({
        "device_code": "DEVICE",
        "user_code": "WDJB-MJHT",
        "verification_uri": format!("{}/confirm", provider.base),
        "expires_in": 600,
        "interval": 0,
    });
    as_json(StatusCode::OK, &answer)
}
