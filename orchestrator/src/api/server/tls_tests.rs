//! TLS and certificates of clients, over real sockets with certificates that were made a moment ago.

use super::{super::listening, *};
use crate::{
    api::{ApiDoor, ApiServer, auth::ApiCaller, layered},
    config::ApiAccess,
    login::{LoginConfig, LoginRole, RoleGrant},
};
use axum::{Router, extract::Request, middleware};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType, date_time_ymd};
use reqwest::{Certificate, Client, Identity, StatusCode};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};
use tempfile::TempDir;

/// An authority that signs certificates for one run of a test.
struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

impl TestAuthority {
    fn new(name: &str) -> TestAuthority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        TestAuthority(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// A certificate and its key, in PEM.
    fn signed(&self, names: Vec<SanType>, until: i32) -> (String, String) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    fn client(&self, name: SanType, until: i32) -> Identity {
        let (certificate, key) = self.signed(vec![name], until);
        Identity::from_pem(format!("{certificate}{key}").as_bytes()).expect("an identity")
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("a name"))
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().expect("a name"))
}

/// A server with TLS that takes certificates of clients as a login.
struct TestServer {
    server: ApiServer,
    authority: TestAuthority,
    clients: TestAuthority,
    _folder: TempDir,
}

impl TestServer {
    async fn new() -> TestServer {
        saga_resilience::transport::install_tls();
        let folder = tempfile::tempdir().expect("a folder");
        let (authority, clients) = (TestAuthority::new("servers"), TestAuthority::new("clients"));
        let (certificate, key) = authority.signed(vec![dns("localhost")], 2100);
        let write = |name: &str, text: &str| {
            let file: PathBuf = folder.path().join(name);
            fs::write(&file, text).expect("a file");
            file
        };
        let files = ApiTlsFiles {
            certificate: write("tls.crt", &certificate),
            key: write("tls.key", &key),
            client_ca: Some(write("clients.crt", &clients.0.pem())),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let tls = ServerTls::open(files).expect("files of TLS");
        let server = listening(listener, Some(tls), routes()).expect("a server");
        TestServer { server, authority, clients, _folder: folder }
    }

    /// Who the server says is asking; a new connection each time.
    async fn asked(
        &self,
        identity: Option<Identity>,
        headers: &[(&str, &str)],
    ) -> Result<(StatusCode, String), reqwest::Error> {
        let root = Certificate::from_pem(self.authority.0.pem().as_bytes())?;
        let builder = Client::builder().no_proxy().tls_certs_only([root]);
        let builder = match identity {
            Some(identity) => builder.identity(identity),
            None => builder,
        };
        let url = format!("https://localhost:{}/who", self.server.address.port());
        let request =
            headers.iter().fold(builder.build()?.post(url), |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await?;
        Ok((answer.status(), answer.text().await?))
    }
}

fn routes() -> Router {
    let grant = |role, payloads| RoleGrant { role, payloads };
    let login = LoginConfig {
        keys: None,
        tokens: None,
        code_flow: None,
        device_client: None,
        clients: BTreeMap::from([
            ("spiffe://example/ops".to_owned(), grant(LoginRole::Operator, true)),
            ("ci.example.com".to_owned(), grant(LoginRole::Viewer, false)),
        ]),
        open_metrics: false,
        session_key: None,
    };
    let access = ApiAccess::Login(Box::new(login));
    let door = ApiDoor::open(&access, SocketAddr::from(([127, 0, 0, 1], 0)), true).expect("a door");
    let needs = Some(LoginRole::Viewer);
    let judged = middleware::from_fn(move |request: Request, next| crate::api::auth::judged(needs, request, next));
    let who = |caller: ApiCaller| async move { caller.who(None) };
    layered(Router::new().route("/who", axum::routing::post(who).route_layer(judged)), &door)
}

#[tokio::test]
async fn a_certificate_is_a_login_by_its_names() {
    let here = TestServer::new().await;
    for (name, who) in
        [(uri("spiffe://example/ops"), "cert:spiffe://example/ops"), (dns("CI.example.com"), "cert:ci.example.com")]
    {
        let answer = here.asked(Some(here.clients.client(name, 2100)), &[]).await.expect("an answer");
        assert_eq!(answer, (StatusCode::OK, who.to_owned()));
    }
    let (status, told) =
        here.asked(Some(here.clients.client(dns("other.example.com"), 2100)), &[]).await.expect("an answer");
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{told}");
    let (status, told) = here.asked(None, &[]).await.expect("an answer");
    assert!(status == StatusCode::UNAUTHORIZED && told.contains("login_required"), "{told}");
    let bad =
        here.asked(Some(here.clients.client(dns("ci.example.com"), 2100)), &[("authorization", "Bearer x")]).await;
    assert_eq!(bad.expect("an answer").0, StatusCode::UNAUTHORIZED, "a wrong key is not made up for");
    let foreign =
        here.asked(Some(here.clients.client(dns("ci.example.com"), 2100)), &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(foreign.expect("an answer").0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_gets_no_connection() {
    let here = TestServer::new().await;
    let expired = here.clients.client(dns("ci.example.com"), 2021);
    assert!(here.asked(Some(expired), &[]).await.is_err(), "it has expired");
    let unknown = TestAuthority::new("others").client(dns("ci.example.com"), 2100);
    assert!(here.asked(Some(unknown), &[]).await.is_err(), "another authority");
    let of_a_server = here.authority.client(dns("ci.example.com"), 2100);
    assert!(here.asked(Some(of_a_server), &[]).await.is_err(), "the authority of the server is none of clients");
    let plain = Client::builder().no_proxy().build().expect("a client");
    assert!(plain.get(format!("http://{}/who", here.server.address)).send().await.is_err(), "no TLS");
}

#[test]
fn changed_files_are_read_again_and_wrong_ones_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = TestAuthority::new("servers");
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| folder.path().join(name));
    let write = |texts: (String, String)| {
        fs::write(&certificate, texts.0).expect("a file");
        fs::write(&key, texts.1).expect("a file");
    };
    write(authority.signed(vec![dns("localhost")], 2100));
    let files = ApiTlsFiles { certificate: certificate.clone(), key: key.clone(), client_ca: None };
    let tls = ServerTls::open(files).expect("files of TLS");
    let (start, first) = (Instant::now(), tls.at(Instant::now()));
    write(("no certificate".to_owned(), String::new()));
    assert!(Arc::ptr_eq(&first, &tls.at(start + LOOK_AGAIN * 2)), "what was read before stays");
    write(authority.signed(vec![dns("localhost"), dns("saga.example.com")], 2100));
    assert!(Arc::ptr_eq(&first, &tls.at(start + LOOK_AGAIN * 2)), "it was looked at a moment ago");
    assert!(!Arc::ptr_eq(&first, &tls.at(start + LOOK_AGAIN * 4)));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = TestAuthority::new("servers");
    let ((one, one_key), (_, other_key)) =
        (authority.signed(vec![dns("a")], 2100), authority.signed(vec![dns("b")], 2100));
    let told = |certificate: &str, key: &str| {
        let files = ["tls.crt", "tls.key"].map(|name| folder.path().join(name));
        fs::write(&files[0], certificate).expect("a file");
        fs::write(&files[1], key).expect("a file");
        let [certificate, key] = files;
        ServerTls::open(ApiTlsFiles { certificate, key, client_ca: None }).map(drop)
    };
    assert!(told(&one, &one_key).is_ok());
    for (certificate, key, said) in [
        (one.as_str(), other_key.as_str(), "tls.key is not the key of the first certificate"),
        (&one, "", "tls.key: has no private key in PEM"),
        ("", &one_key, "tls.crt: has no certificate"),
    ] {
        let error = format!("{:#}", told(certificate, key).expect_err(said));
        assert!(error.contains(said), "{error}");
    }
}
