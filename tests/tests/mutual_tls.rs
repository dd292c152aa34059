//! A participant that takes calls only from clients with a certificate, and certificates that are renewed while the
//! engine runs.

use anyhow::{Result, ensure};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use saga_tests::{
    certificates::{MadeAuthority, MadeCertificate},
    participant::ParticipantScript,
    world::{TestWorld, reaches},
};
use serde_json::json;
use std::{net::SocketAddr, path::Path, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";

/// Answers whoever shows a certificate of the authority.
async fn serving(authority: &MadeAuthority) -> Result<SocketAddr> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let shown = authority.signs("localhost")?;
    let chain = vec![CertificateDer::from_pem_slice(shown.certificate.as_bytes())?];
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(shown.key.as_bytes())?)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                if stream.read(&mut [0; 4096]).await.is_ok_and(|length| length > 0) {
                    drop(stream.write_all(ANSWER).await);
                    drop(stream.shutdown().await);
                }
            });
        }
    });
    Ok(address)
}

/// Puts the certificate in place of the one before, as whoever renews it does.
fn renewed(folder: &Path, made: &MadeCertificate) -> Result<()> {
    for (name, content) in [("client.key", &made.key), ("client.crt", &made.certificate)] {
        let next = folder.join(format!("{name}.next"));
        std::fs::write(&next, content)?;
        std::fs::rename(next, folder.join(name))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_is_renewed_is_shown_without_a_restart() -> Result<()> {
    let made = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await?;
    let Some(world) = made else { return Ok(()) };
    let (ours, theirs) = (MadeAuthority::new("ours")?, MadeAuthority::new("theirs")?);
    let address = serving(&ours).await?;
    let folder = world.installation.folder();
    std::fs::write(folder.join("ca.crt"), ours.pem())?;
    renewed(folder, &theirs.signs("saga")?)?;
    let file = |name: &str| format!("${{ file.{} }}", folder.join(name).display());
    let tls = json!({"ca": file("ca.crt"), "certificate": file("client.crt"), "key": file("client.key")});
    let breaker = json!({"minimumCalls": 1000});
    let http = json!({"url": format!("https://localhost:{}", address.port())});
    world.participants(&json!({}), &json!({"http": http, "tls": tls, "timeout": "20s", "breaker": breaker}))?;
    let steps = "steps:\n  - {step: charge, do: POST payments/charges, undo: POST payments/refunds}\n";
    world.define("refused", &format!("retry: {{attempts: 2, delay: 50ms}}\n{steps}"))?;
    world.define("patient", &format!("retry: {{attempts: forever, delay: 200ms, maxDelay: 200ms}}\n{steps}"))?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    // What certainly was not sent needs no undo.
    reaches(&engine, "4711?saga=refused", &["compensated"]).await?;
    let (_, history) = engine.api().get("/api/sagas/4711?saga=patient").await?;
    ensure!(history["status"] != "completed", "a stranger's certificate was taken: {history}");
    renewed(folder, &ours.signs("saga")?)?;
    reaches(&engine, "4711?saga=patient", &["completed"]).await?;
    ensure!(!engine.log()?.contains("PRIVATE KEY"), "a key is in the log");
    Ok(())
}
