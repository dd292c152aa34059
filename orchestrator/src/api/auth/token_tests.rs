//! Hostile tokens: each is refused in one way, and none writes into the log.

use super::*;
use crate::login::{LoginConfig, RoleGrant, TokenRules};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderValue, StatusCode, header},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tower_service::Service;
use tracing::{Dispatch, subscriber::NoSubscriber};

/// The modulus of an RSA key whose private half nobody has any more.
const RSA: &str = concat!(
    "vZUR-APWQ6bRfPWx2DCj0ttL4QShc72ucl9eotLhZN06QZxaJ_7rxn0-byUstaqzHFxOCvINsS8a4NdrNAljmDZQBEoBKbVc",
    "K9kwEAKtRMi06Z4i7MdIMQxYhvVQ2Mhyx98LvnHlO6YZ4ohKT4A4eQY0jjv2DzSypY-zq1GjWmOmo1sQsWirP07o7zrofxAU",
    "SI2tnLDPo8L7RCRWlgfSeB1hvO8Mm8HKp5P_Y57NhnsMFQ1Swva-r5RYqGcm4NpSH43S5zzo8sNGd0fQ6XQXP_isTx8nnxYz",
    "ugYgxqWJUpU-d1hLRqYdwy6qvlzZ8vnHhVNjoFD6xTze7XaylFFYqw",
);

/// A token that it signed, valid until the year 9999.
const RSA_TOKEN: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0LyIsImF",
    "1ZCI6InNhZ2EiLCJzdWIiOiJhbm5hIiwiZXhwIjoyNTM0MDIzMDA3OTksInJvbGVzIjpbIm9wcyJdfQ.czuprNSPVtlc9TGX",
    "MuVlqvFdLyiCTSWWjuU5x5gEnuB4kq_bQwje7qSIryLVypHW94VbVNxcJexiyuXHJnsx1G3VR3tiL8PekrnNbkJVGTGPBc8t",
    "RULpopqe8twfogJDKf2Id7MD_Wx1eyRviHbzNOx6eMsGCyF5Q7-3C7Hv-tHPvRkBrLSFarZr4AwF9nIttx31u7NLlVui7eZq",
    "ZNh4FTao1mQgLGNeLlbOJP8Wjn35fJZ6YcuiwOspprBdO0Bk1mCpQzJMB1Ei7zzppHJCiFR5gvDS1J4wiKR2F5R-MsXMp5h7",
    "75ipmEthurvx4JkbkTS_GR84FMqUjCV5aBJR6Q",
);

/// An issuer with an Ed25519 key, an ECDSA key and an RSA key.
struct TestIssuer {
    ed: Ed25519KeyPair,
    ec: EcdsaKeyPair,
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs()
}

impl TestIssuer {
    fn new() -> TestIssuer {
        let random = SystemRandom::new();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        TestIssuer {
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).expect("a key"),
            ec: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random).expect("a key"),
        }
    }

    /// With keys that nobody verifies with: a secret, a short RSA key, one of another curve, one for encryption.
    fn key_set(&self) -> String {
        let point = self.ec.public_key().as_ref();
        let (x, y, ed) = (base64(&point[1..33]), base64(&point[33..]), base64(self.ed.public_key().as_ref()));
        let (short, wide) = (base64([0xff; 128]), base64([1; 48]));
        format!(
            r#"{{"keys": [{{"kty": "OKP", "crv": "Ed25519", "kid": "ed", "alg": "EdDSA", "x": "{ed}"}},
            {{"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": "{x}", "y": "{y}"}},
            {{"kty": "RSA", "kid": "rsa", "n": "{RSA}", "e": "AQAB"}},
            {{"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}},
            {{"kty": "RSA", "kid": "short", "n": "{short}", "e": "AQAB"}},
            {{"kty": "EC", "crv": "P-384", "kid": "p384", "x": "{wide}", "y": "{wide}"}},
            {{"kty": "OKP", "crv": "Ed25519", "kid": "enc", "use": "enc", "x": "{ed}"}}]}}"#
        )
    }

    fn signed(&self, head: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64(head), base64(claims));
        format!("{message}.{}", base64(self.ed.sign(message.as_bytes())))
    }

    fn with_claims(&self, claims: &str) -> String {
        self.signed(HEAD, claims)
    }

    /// The usual claims with one member more, or another one.
    fn with(&self, name: &str, value: &str) -> String {
        let members =
            usual().into_iter().filter(|(known, _)| known != name).chain([(name.to_owned(), value.to_owned())]);
        self.with_claims(&object(members))
    }

    fn without(&self, name: &str) -> String {
        self.with_claims(&object(usual().into_iter().filter(|(known, _)| known != name)))
    }

    fn with_head(&self, member: &str) -> String {
        self.signed(&format!(r#"{{"alg":"EdDSA","kid":"ed",{member}}}"#), &object(usual()))
    }

    fn headed(&self, head: &str) -> String {
        self.signed(head, &object(usual()))
    }
}

const HEAD: &str = r#"{"alg":"EdDSA","typ":"JWT","kid":"ed"}"#;

fn usual() -> Vec<(String, String)> {
    let exp = (now() + 600).to_string();
    let members = [
        ("iss", r#""https://issuer.test/""#),
        ("aud", r#""saga""#),
        ("sub", r#""anna""#),
        ("exp", exp.as_str()),
        ("roles", r#"["ops"]"#),
    ];
    members.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn object(members: impl IntoIterator<Item = (String, String)>) -> String {
    let members: Vec<String> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// The door of an API that takes tokens of the issuer, whose keys are served on this machine.
async fn door(issuer: &TestIssuer) -> ApiDoor {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let set = issuer.key_set();
    let keys = Router::new().route("/jwks", get(move || async move { set }));
    tokio::spawn(async move { axum::serve(listener, keys).await });
    let rules = TokenRules {
        issuer: "https://issuer.test/".to_owned(),
        audience: "saga".to_owned(),
        jwks: format!("http://{address}/jwks").parse().expect("an address"),
        skew: Duration::from_secs(60),
        roles_claim: vec!["roles".to_owned()],
        roles: BTreeMap::from([("ops".to_owned(), RoleGrant { role: LoginRole::Operator, payloads: false })]),
    };
    let login = LoginConfig { keys: None, tokens: Some(rules), open_metrics: false, session_key: None };
    ApiDoor::open(&ApiAccess::Login(Box::new(login)), SocketAddr::from(([127, 0, 0, 1], 0))).expect("a door")
}

fn app(door: &ApiDoor) -> Router {
    let route = super::super::routes::ApiRoute {
        method: super::super::routes::RouteMethod::Get,
        path: "/api/sagas",
        permission: RoutePermission::Read,
        handler: get(|caller: ApiCaller| async move { caller.who(None).unwrap_or_default() }),
    };
    crate::api::layered(super::super::routes::router::<()>(vec![route], door), door)
}

async fn asked(app: &mut Router, values: &[String]) -> (StatusCode, Response) {
    let mut request = Request::builder().uri("/api/sagas").body(Body::empty()).expect("a request");
    for value in values {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        request.headers_mut().append(header::AUTHORIZATION, value);
    }
    let answer = app.call(request).await.expect("an answer");
    (answer.status(), answer)
}

fn bearer(token: &str) -> Vec<String> {
    vec![format!("Bearer {token}")]
}

fn as_hmac(head: &str, key: &[u8]) -> String {
    let message = format!("{}.{}", base64(head), base64(object(usual())));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
    format!("{message}.{}", base64(tag))
}

/// What stands in a token that must be nowhere else.
const FORGED: &str = "FORGED";

/// Texts that are no token, or more than a signed one.
fn shapes(issuer: &TestIssuer) -> Vec<(&'static str, Vec<String>)> {
    let good = issuer.with_claims(&object(usual()));
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let (head, claims) = message.split_once('.').expect("two parts");
    let changed = base64(object(usual()).replace("anna", FORGED));
    let other = TestIssuer::new().with_claims(&object(usual()));
    let long = issuer.with("note", &format!("\"{}\"", "x".repeat(9 * 1024)));
    vec![
        ("nothing behind the word", vec!["Bearer ".to_owned()]),
        ("one part", bearer("FORGED")),
        ("two parts", bearer(message)),
        ("four parts", bearer(&format!("{good}.{signature}"))),
        ("an encrypted token", bearer(&format!("{head}.a.b.c.d"))),
        ("a dot behind", bearer(&format!("{good}."))),
        ("an empty signature", bearer(&format!("{message}."))),
        ("an empty header", bearer(&format!(".{claims}.{signature}"))),
        ("empty claims", bearer(&format!("{head}..{signature}"))),
        ("padding", bearer(&format!("{good}=="))),
        ("base64 of another alphabet", bearer(&format!("{head}.{claims}.++//{signature}"))),
        ("a header that is no base64", bearer(&format!("*{head}.{claims}.{signature}"))),
        ("a header that is no JSON", bearer(&issuer.headed("FORGED"))),
        ("a header that is a list", bearer(&issuer.headed("[]"))),
        ("claims that are no JSON", bearer(&issuer.with_claims("FORGED"))),
        ("claims that are a list", bearer(&issuer.with_claims("[]"))),
        ("more than 8 KiB", bearer(&long)),
        ("other claims under the signature", bearer(&format!("{head}.{changed}.{signature}"))),
        (
            "another header under the signature",
            bearer(&format!("{}.{claims}.{signature}", base64(r#"{"alg":"EdDSA","kid":"ed"}"#))),
        ),
        ("the signature of another key", bearer(&other)),
        ("a space within", bearer(&format!("{head} {claims}"))),
        ("a tab before", vec![format!("Bearer\t{good}")]),
        ("two spaces", vec![format!("Bearer  {good}")]),
        ("no word", vec![good.clone()]),
        ("another scheme", vec![format!("Basic {good}")]),
        ("two headers", vec![format!("Bearer {good}"), format!("Bearer {good}")]),
        ("a static key that is none", bearer("saga_FORGED_AAAA")),
        ("letters beyond ASCII", bearer("FÖRGED")),
    ]
}

/// Headers that would choose the key, the algorithm, or another meaning.
fn headers(issuer: &TestIssuer) -> Vec<(&'static str, Vec<String>)> {
    let zero = format!("{}.{}.{}", base64(r#"{"alg":"ES256","kid":"ec"}"#), base64(object(usual())), base64([0; 64]));
    let unsigned =
        |alg: &str| format!("{}.{}.AA", base64(format!(r#"{{"alg":"{alg}","kid":"ed"}}"#)), base64(object(usual())));
    let modulus = URL_SAFE_NO_PAD.decode(RSA).expect("base64");
    vec![
        ("alg none", bearer(&unsigned("none"))),
        ("alg None", bearer(&unsigned("None"))),
        ("alg nONE", bearer(&unsigned("nONE"))),
        ("HS256 with the public RSA key", bearer(&as_hmac(r#"{"alg":"HS256","kid":"rsa"}"#, &modulus))),
        (
            "HS256 with the public Ed25519 key",
            bearer(&as_hmac(r#"{"alg":"HS256","kid":"ed"}"#, issuer.ed.public_key().as_ref())),
        ),
        ("HS256 with the secret of the set", bearer(&as_hmac(r#"{"alg":"HS256","kid":"secret"}"#, b"secret"))),
        ("RS256 for another kind of key", bearer(&issuer.headed(r#"{"alg":"RS256","kid":"ed"}"#))),
        ("EdDSA for another kind of key", bearer(&issuer.headed(r#"{"alg":"EdDSA","kid":"ec"}"#))),
        ("PS256", bearer(&issuer.headed(r#"{"alg":"PS256","kid":"rsa"}"#))),
        ("an ECDSA signature of zeros", bearer(&zero)),
        ("no alg", bearer(&issuer.headed(r#"{"kid":"ed"}"#))),
        ("alg is a number", bearer(&issuer.headed(r#"{"alg":1,"kid":"ed"}"#))),
        ("alg twice", bearer(&issuer.headed(r#"{"alg":"none","alg":"EdDSA","kid":"ed"}"#))),
        ("an unknown kid", bearer(&issuer.headed(r#"{"alg":"EdDSA","kid":"unknown"}"#))),
        ("no kid, where there are several keys", bearer(&issuer.headed(r#"{"alg":"EdDSA"}"#))),
        ("kid is a number", bearer(&issuer.headed(r#"{"alg":"EdDSA","kid":1}"#))),
        ("kid has a line end", bearer(&issuer.headed("{\"alg\":\"EdDSA\",\"kid\":\"a\\nFORGED\"}"))),
        ("kid has a quotation mark", bearer(&issuer.headed(r#"{"alg":"EdDSA","kid":"' or FORGED"}"#))),
        ("the key of a short modulus", bearer(&issuer.headed(r#"{"alg":"RS256","kid":"short"}"#))),
        ("the key of another curve", bearer(&issuer.headed(r#"{"alg":"ES384","kid":"p384"}"#))),
        ("a key for encryption", bearer(&issuer.headed(r#"{"alg":"EdDSA","kid":"enc"}"#))),
        ("jwk", bearer(&issuer.with_head(r#""jwk":{"kty":"OKP","crv":"Ed25519","x":"FORGED"}"#))),
        ("jku", bearer(&issuer.with_head(r#""jku":"https://FORGED/""#))),
        ("x5u", bearer(&issuer.with_head(r#""x5u":"https://FORGED/""#))),
        ("x5c", bearer(&issuer.with_head(r#""x5c":["FORGED"]"#))),
        ("crit", bearer(&issuer.with_head(r#""crit":["exp"]"#))),
        ("b64", bearer(&issuer.with_head(r#""b64":false"#))),
        ("zip", bearer(&issuer.with_head(r#""zip":"DEF""#))),
        ("a token within a token", bearer(&issuer.with_head(r#""cty":"JWT""#))),
        ("another typ", bearer(&issuer.with_head(r#""typ":"JOSE""#))),
        ("typ is a number", bearer(&issuer.with_head(r#""typ":1"#))),
    ]
}

/// Claims that are missing, of another kind, or about somebody else.
fn claims(issuer: &TestIssuer) -> Vec<(&'static str, Vec<String>)> {
    let late = (now() + 3600).to_string();
    let (past, text) = ((now() - 120).to_string(), format!("\"{late}\""));
    let twice = object(usual().into_iter().chain([("sub".to_owned(), r#""FORGED""#.to_owned())]));
    vec![
        ("no exp", bearer(&issuer.without("exp"))),
        ("exp is a text", bearer(&issuer.with("exp", &text))),
        ("exp has a fraction", bearer(&issuer.with("exp", &format!("{late}.5")))),
        ("exp has an exponent", bearer(&issuer.with("exp", "9e9"))),
        ("exp is negative", bearer(&issuer.with("exp", "-1"))),
        ("exp is beyond 64 bits", bearer(&issuer.with("exp", "99999999999999999999"))),
        ("exp is the largest number", bearer(&issuer.with("exp", "18446744073709551615"))),
        ("exp is null", bearer(&issuer.with("exp", "null"))),
        ("exp is past the skew", bearer(&issuer.with("exp", &past))),
        ("nbf is in the future", bearer(&issuer.with("nbf", &late))),
        ("nbf is a text", bearer(&issuer.with("nbf", &text))),
        ("iat is in the future", bearer(&issuer.with("iat", &late))),
        ("iat is a list", bearer(&issuer.with("iat", "[]"))),
        ("no iss", bearer(&issuer.without("iss"))),
        ("another iss", bearer(&issuer.with("iss", r#""https://FORGED/""#))),
        ("iss is a list with ours", bearer(&issuer.with("iss", r#"["https://issuer.test/","FORGED"]"#))),
        ("no aud", bearer(&issuer.without("aud"))),
        ("another aud", bearer(&issuer.with("aud", r#""FORGED""#))),
        ("aud is a number", bearer(&issuer.with("aud", "1"))),
        ("aud is an empty list", bearer(&issuer.with("aud", "[]"))),
        ("no sub", bearer(&issuer.without("sub"))),
        ("sub is empty", bearer(&issuer.with("sub", r#""""#))),
        ("sub is a number", bearer(&issuer.with("sub", "1"))),
        ("sub has a line end", bearer(&issuer.with("sub", r#""a\nFORGED""#))),
        ("sub is the name of a key", bearer(&issuer.with("sub", r#""key:FORGED""#))),
        ("sub twice", bearer(&issuer.with_claims(&twice))),
        ("no roles", bearer(&issuer.without("roles"))),
        ("an unknown role", bearer(&issuer.with("roles", r#"["FORGED"]"#))),
        ("roles are an object", bearer(&issuer.with("roles", r#"{"ops":true}"#))),
    ]
}

/// Where the log of a test goes.
#[derive(Clone, Default)]
struct LogCapture(Arc<Mutex<Vec<u8>>>);

impl io::Write for LogCapture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_hostile_token_is_refused_and_writes_nothing_into_the_log() {
    let issuer = TestIssuer::new();
    let mut first = app(&door(&issuer).await);
    let hostile = [shapes(&issuer), headers(&issuer), claims(&issuer)].concat();
    // `tracing` asks only the subscriber of the thread that comes to a line first, as long as one is registered: the
    // line is come to before, and two are registered, or the test of another thread silences it for this one.
    asked(&mut first, &hostile[0].1).await;
    let _second = Dispatch::new(NoSubscriber::new());
    let log = LogCapture::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    // A door logs so many lines in a second: each of these logs all.
    for portion in hostile.chunks(15) {
        let mut app = app(&door(&issuer).await);
        for (name, values) in portion {
            let (status, answer) = asked(&mut app, values).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}");
            assert_eq!(
                answer.headers()[header::WWW_AUTHENTICATE],
                r#"Bearer realm="saga", error="invalid_token""#,
                "{name}"
            );
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json", "{name}");
            let body = to_bytes(answer.into_body(), 64 * 1024).await.expect("a body");
            let problem: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(
                (&problem["code"], &problem["detail"]),
                (&"bad_login".into(), &"the key, token or session is not valid".into()),
                "{name}"
            );
        }
    }
    let log = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let log = String::from_utf8(log).expect("a text");
    assert!(!log.contains(FORGED) && !log.contains("anna"), "{log}");
    assert_eq!(log.matches("a login to the API was refused").count(), hostile.len(), "{log}");
    assert!(hostile.len() >= 30);
}

#[tokio::test]
async fn a_good_token_gets_in() {
    let issuer = TestIssuer::new();
    let mut app = app(&door(&issuer).await);
    let message = format!("{}.{}", base64(r#"{"alg":"ES256","kid":"ec"}"#), base64(object(usual())));
    let signature = issuer.ec.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
    let good = issuer.with_claims(&object(usual()));
    for (name, values) in [
        ("Ed25519", bearer(&good)),
        ("ECDSA", bearer(&format!("{message}.{}", base64(signature)))),
        ("RSA", bearer(RSA_TOKEN)),
        ("the word in small letters", vec![format!("bearer {good}")]),
        ("aud is a list with ours", bearer(&issuer.with("aud", r#"["other","saga"]"#))),
        ("exp is within the skew", bearer(&issuer.with("exp", &(now() - 30).to_string()))),
        ("an access token", bearer(&issuer.with_head(r#""typ":"at+jwt""#))),
        ("the hint of a certificate", bearer(&issuer.with_head(r#""x5t":"abc""#))),
    ] {
        let (status, answer) = asked(&mut app, &values).await;
        let body = to_bytes(answer.into_body(), 64 * 1024).await.expect("a body");
        assert_eq!((status, body.as_ref()), (StatusCode::OK, b"anna".as_slice()), "{name}");
    }
}
