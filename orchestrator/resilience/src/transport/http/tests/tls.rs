//! Participants that speak TLS, with certificates that were made for the test.

use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use saga_core::definition::participants::{self, TlsConfig};
use tokio_rustls::TlsAcceptor;

/// An authority that signs certificates.
struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
struct TestCertificate {
    chain: String,
    key: String,
}

impl TestAuthority {
    fn new(name: &str) -> TestAuthority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        TestAuthority(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    fn signs(&self, name: &str, last_year: i32) -> TestCertificate {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(last_year, 1, 1));
        let key = KeyPair::generate().expect("a key");
        let chain = params.signed_by(&key, &self.0).expect("a certificate").pem();
        TestCertificate { chain, key: key.serialize_pem() }
    }

    fn store(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.as_ref().der().clone()).expect("a certificate");
        roots
    }
}

const FOREVER: i32 = 4000;

/// Answers every request over TLS; with `clients`, only those that show a certificate of that authority.
async fn serving(
    shown: TestCertificate,
    clients: Option<&TestAuthority>,
    version: &'static SupportedProtocolVersion,
) -> SocketAddr {
    crate::transport::install_tls();
    let builder = ServerConfig::builder_with_protocol_versions(&[version]);
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(authority.store())).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(shown.chain.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).expect("a key");
    let config = builder.with_single_cert(chain.expect("a chain"), key).expect("they fit");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 4096];
                if stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    drop(stream.write_all(answer).await);
                    drop(stream.shutdown().await);
                }
            });
        }
    });
    address
}

/// `tls` as a file says it, whose variables are these.
fn tls(keys: &str, variables: &[(&str, &str)]) -> TlsConfig {
    let file = format!("participants: {{payments: {{http: {{url: https://a}}, tls: {{{keys}}}}}}}");
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let read = participants::parse("participants.yaml", &file, &variable).expect("it holds");
    read.get("payments").and_then(|it| it.tls.clone()).expect("it has `tls`")
}

async fn called(address: SocketAddr, host: &str, tls: TlsConfig) -> CommandAnswer {
    let url = format!("https://{host}:{}", address.port());
    ask(&HttpSettings { tls: Some(tls), ..HttpSettings::at("payments", url) }, &a_call()).await
}

/// What is certainly not sent, and why.
fn refused(answer: &CommandAnswer) -> &str {
    let CommandAnswer::Failed { failure, retry: RetryAdvice::Yes, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(failure.code, NOT_CONNECTED, "{}", failure.message);
    &failure.message
}

const CA: &str = "ca: \"${ env.CA }\"";
const NAMED: &str = "ca: \"${ env.CA }\", serverName: payments.internal";
const MUTUAL: &str = "ca: \"${ env.CA }\", certificate: \"${ env.CERT }\", key: \"${ env.KEY }\"";

#[tokio::test]
async fn a_server_is_called_only_with_a_certificate_that_holds() {
    let (ours, theirs) = (TestAuthority::new("ours"), TestAuthority::new("theirs"));
    let (trust, other) = (ours.pem(), theirs.pem());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let right = serving(ours.signs("localhost", FOREVER), None, version).await;
        let ca = tls(CA, &[("CA", &trust)]);
        assert_eq!(summary(&called(right, "localhost", ca.clone()).await), "succeeded null");
        let told = called(right, "127.0.0.1", ca.clone()).await;
        assert!(refused(&told).contains("not valid for name"), "{told:?}");
        let told = called(right, "localhost", tls(CA, &[("CA", &other)])).await;
        assert!(refused(&told).contains("UnknownIssuer"), "{told:?}");
        let told = called(right, "localhost", tls("serverName: localhost", &[])).await;
        assert!(refused(&told).contains("UnknownIssuer"), "the machine does not know the authority: {told:?}");
        let expired = serving(ours.signs("localhost", 2021), None, version).await;
        let told = called(expired, "localhost", ca).await;
        assert!(refused(&told).contains("expired"), "{told:?}");
        let named = serving(ours.signs("payments.internal", FOREVER), None, version).await;
        let told = called(named, "localhost", tls(CA, &[("CA", &trust)])).await;
        assert!(refused(&told).contains("not valid for name"), "{told:?}");
        assert_eq!(summary(&called(named, "localhost", tls(NAMED, &[("CA", &trust)])).await), "succeeded null");
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_of_the_client_has_read_nothing_without_it() {
    let (ours, theirs) = (TestAuthority::new("ours"), TestAuthority::new("theirs"));
    let trust = ours.pem();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = serving(ours.signs("localhost", FOREVER), Some(&ours), version).await;
        let with =
            |client: &TestCertificate| tls(MUTUAL, &[("CA", &trust), ("CERT", &client.chain), ("KEY", &client.key)]);
        let right = called(server, "localhost", with(&ours.signs("saga", FOREVER))).await;
        assert_eq!(summary(&right), "succeeded null");
        let none = called(server, "localhost", tls(CA, &[("CA", &trust)])).await;
        assert!(refused(&none).contains("alert"), "{none:?}");
        let expired = called(server, "localhost", with(&ours.signs("saga", 2021))).await;
        assert!(refused(&expired).contains("alert"), "{expired:?}");
        let unknown = called(server, "localhost", with(&theirs.signs("saga", FOREVER))).await;
        assert!(refused(&unknown).contains("alert"), "{unknown:?}");
    }
}

#[test]
fn what_no_client_can_be_made_of_is_refused_by_name() {
    let ours = TestAuthority::new("ours");
    let (one, other) = (ours.signs("saga", FOREVER), ours.signs("saga", FOREVER));
    let refused = |tls: TlsConfig| {
        let settings = HttpSettings { tls: Some(tls), ..HttpSettings::at("payments", "https://a") };
        let error = HttpParticipantClient::new(&settings).expect_err("refused");
        format!("{error}: {}", std::error::Error::source(&error).expect("why"))
    };
    let swapped = tls(MUTUAL, &[("CA", &one.chain), ("CERT", &one.key), ("KEY", &one.chain)]);
    assert!(refused(swapped).ends_with("`certificate` of `tls` has no certificate"));
    let mixed = tls(MUTUAL, &[("CA", &one.chain), ("CERT", &one.chain), ("KEY", &other.key)]);
    let told = refused(mixed);
    assert!(told.contains("`payments`") && told.to_lowercase().contains("key"), "{told}");
    let unnamed = tls("serverName: \"a b\"", &[]);
    assert!(refused(unnamed).contains("serverName"));
}
