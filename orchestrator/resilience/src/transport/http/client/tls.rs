//! How connections are secured.

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;
use saga_core::definition::participants::TlsConfig;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use url::Url;

/// No client can be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// For want of certificates of authorities, or because a certificate and its key do not fit.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    /// A text in PEM cannot be read.
    #[error("`{key}` of `tls` has no {expected}")]
    Pem {
        /// The key of participants.yaml.
        key: &'static str,
        /// What it has to have.
        expected: &'static str,
    },
    /// The name of the server is none.
    #[error("`serverName` of `tls` is no name of a server")]
    ServerName,
}

/// Opens TLS over TCP connections.
#[derive(Clone)]
pub(super) struct TlsOpener {
    pub(super) connector: TlsConnector,
    /// The name that certificates have to have; `None`: the host.
    name: Option<ServerName<'static>>,
}

impl TlsOpener {
    /// By these settings; without any, by the authorities of the machine.
    pub(super) fn new(settings: Option<&TlsConfig>) -> Result<TlsOpener, HttpClientError> {
        crate::transport::install_tls();
        let (identity, ca) = settings.map_or((None, None), |tls| (tls.identity.as_ref(), tls.ca.as_deref()));
        let builder = match ca {
            Some(ca) => ClientConfig::builder().with_root_certificates(authorities(ca)?),
            None => ClientConfig::builder().with_platform_verifier()?,
        };
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = certificates("certificate", &identity.certificate)?;
                let key = PrivateKeyDer::from_pem_slice(identity.key.reveal().as_bytes());
                let key = key.map_err(|_| HttpClientError::Pem { key: "key", expected: "private key" })?;
                builder.with_client_auth_cert(chain, key)?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = settings.and_then(|tls| tls.server_name.clone()).map(ServerName::try_from).transpose();
        let name = name.map_err(|_| HttpClientError::ServerName)?;
        Ok(TlsOpener { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// The name that the certificate of the server at `url` has to have.
    pub(super) fn name_of(&self, url: &Url) -> Result<ServerName<'static>, rustls::pki_types::InvalidDnsNameError> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => {
                let host = url.host_str().unwrap_or_default();
                ServerName::try_from(host.trim_start_matches('[').trim_end_matches(']').to_owned())
            }
        }
    }
}

fn authorities(ca: &str) -> Result<RootCertStore, HttpClientError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca", ca)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn certificates(key: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, HttpClientError> {
    let missing = HttpClientError::Pem { key, expected: "certificate" };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(missing)
}
