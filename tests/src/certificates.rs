//! Certificates that are made for a test.

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};

/// An authority that only one test trusts.
#[derive(Debug)]
pub struct MadeAuthority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct MadeCertificate {
    /// The certificate.
    pub certificate: String,
    /// Its private key, in PKCS 8.
    pub key: String,
}

impl MadeAuthority {
    /// An authority with this name.
    ///
    /// # Errors
    /// When no certificate can be made.
    pub fn new(name: &str) -> Result<MadeAuthority> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(MadeAuthority(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    /// A certificate for the server or the client called `name`.
    ///
    /// # Errors
    /// When no certificate can be made.
    pub fn signs(&self, name: &str) -> Result<MadeCertificate> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(4000, 1, 1));
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?.pem();
        Ok(MadeCertificate { certificate, key: key.serialize_pem() })
    }
}
