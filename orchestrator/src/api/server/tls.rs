//! TLS of the API. Its files are read again when they change, so that a certificate is renewed without a restart.

use super::super::context::PeerCertificate;
use crate::config::ApiTlsFiles;
use anyhow::{Context, anyhow, bail};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoClientAuth, NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use saga_base::sync::UnpoisonedMutex;
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{info, warn};

/// How often the files are looked at, at most.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a change of the files is seen by: when each was written, and its length.
type FileStates = [Option<(SystemTime, u64)>; 3];

/// The API's side of TLS.
#[derive(Debug)]
pub(crate) struct ServerTls {
    files: ApiTlsFiles,
    current: UnpoisonedMutex<LoadedTls>,
}

#[derive(Debug)]
struct LoadedTls {
    config: Arc<ServerConfig>,
    seen: FileStates,
    looked: Instant,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// One cannot be read, has no certificate or key, or the key is that of another certificate.
    pub(crate) fn open(files: ApiTlsFiles) -> anyhow::Result<ServerTls> {
        let seen = states(&files);
        let current = LoadedTls { config: load(&files)?, seen, looked: Instant::now() };
        Ok(ServerTls { files, current: UnpoisonedMutex::new(current) })
    }

    /// For the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.at(Instant::now()))
    }

    /// What is in force at `now`. While changed files cannot be used, what was read before stays.
    fn at(&self, now: Instant) -> Arc<ServerConfig> {
        let mut current = self.current.lock();
        if now.saturating_duration_since(current.looked) >= LOOK_AGAIN {
            current.looked = now;
            let seen = states(&self.files);
            if seen != current.seen {
                current.seen = seen;
                self.reload(&mut current);
            }
        }
        Arc::clone(&current.config)
    }

    fn reload(&self, current: &mut LoadedTls) {
        match load(&self.files) {
            Ok(config) => {
                current.config = config;
                info!("the API has another certificate, or other authorities of clients");
            }
            Err(error) => {
                let error = format!("{error:#}");
                warn!(error, "the API keeps the certificate and the authorities that it has");
            }
        }
    }
}

fn states(files: &ApiTlsFiles) -> FileStates {
    let state = |file: &Path| {
        let facts = fs::metadata(file).ok()?;
        Some((facts.modified().ok()?, facts.len()))
    };
    [state(&files.certificate), state(&files.key), files.client_ca.as_deref().and_then(state)]
}

fn load(files: &ApiTlsFiles) -> anyhow::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| anyhow!("{}: has no private key in PEM: {error}", files.key.display()))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let verifier: Arc<dyn ClientCertVerifier> = match &files.client_ca {
        None => Arc::new(NoClientAuth),
        // Who shows none may have another login.
        Some(file) => WebPkiClientVerifier::builder_with_provider(authorities(file)?, provider)
            .allow_unauthenticated()
            .build()
            .with_context(|| format!("{}: cannot be used", file.display()))?,
    };
    let wrong_pair = || {
        let (key, certificate) = (files.key.display(), files.certificate.display());
        format!("{key} is not the key of the first certificate in {certificate}")
    };
    let mut config =
        builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).with_context(wrong_pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if files.client_ca.is_some() {
        // A session that is resumed would not show its certificate again, which may have expired.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| anyhow!("{}: has no certificates in PEM: {error}", file.display()))?;
    if found.is_empty() {
        bail!("{}: has no certificate in PEM", file.display());
    }
    Ok(found)
}

fn authorities(file: &Path) -> anyhow::Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots
            .add(certificate)
            .with_context(|| format!("{}: has a certificate that is no authority", file.display()))?;
    }
    Ok(Arc::new(roots))
}

/// The names in the certificate of the peer; `None`: it has shown none.
pub(super) fn peer_of(stream: &TlsStream<TcpStream>) -> Option<PeerCertificate> {
    let shown = stream.get_ref().1.peer_certificates()?.first()?;
    let read = webpki::EndEntityCert::try_from(shown).ok()?;
    let dns = read.valid_dns_names().map(str::to_ascii_lowercase);
    Some(PeerCertificate(read.valid_uri_names().map(str::to_owned).chain(dns).collect()))
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
