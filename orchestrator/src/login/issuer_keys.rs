//! The keys with which an issuer signs tokens, from a JWK set. Each key has one algorithm, which follows from the key.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The most keys of a set; issuers have two or three.
const MOST_KEYS: usize = 32;
/// Bytes of the smallest and the largest modulus of an RSA key.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;
/// Bytes of a coordinate of P-256, and of a public key of Ed25519.
const COORDINATE: usize = 32;
/// The longest id of a key.
const LONGEST_KID: usize = 128;

/// A key that verifies tokens.
#[derive(Clone, Debug)]
pub(super) struct IssuerKey {
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl IssuerKey {
    /// The word for the algorithm in the header of a token.
    pub(super) fn alg(&self) -> String {
        format!("{:?}", self.algorithm)
    }
}

/// A member of a JWK set, before it was checked.
#[derive(Debug, Deserialize)]
struct KeyText {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeyText {
    /// `None`: no key that we verify with. Secrets (`oct`) are none: whoever knows one can sign.
    fn checked(self) -> Option<IssuerKey> {
        let verifies = self.used_for.as_deref().is_none_or(|word| word == "sig")
            && self.key_ops.as_ref().is_none_or(|words| words.iter().any(|word| word == "verify"));
        let is_named = self.kid.as_deref().is_none_or(is_kid);
        let (algorithm, key) = self.key()?;
        let found = IssuerKey { kid: self.kid, algorithm, key };
        let is_for_it = self.alg.is_none_or(|word| word == found.alg());
        (verifies && is_named && is_for_it).then_some(found)
    }

    fn key(&self) -> Option<(Algorithm, DecodingKey)> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => {
                let (n, e) = (bytes(&self.n)?, bytes(&self.e)?);
                MODULUS.contains(&n.len()).then(|| (Algorithm::RS256, DecodingKey::from_rsa_raw_components(&n, &e)))
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (coordinate(&self.x)?, coordinate(&self.y)?);
                Some((Algorithm::ES256, DecodingKey::from_ec_der(&[&[4], x.as_slice(), y.as_slice()].concat())))
            }
            ("OKP", Some("Ed25519")) => Some((Algorithm::EdDSA, DecodingKey::from_ed_der(&coordinate(&self.x)?))),
            (_, _) => None,
        }
    }
}

fn bytes(text: &Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_ref()?).ok()
}

fn coordinate(text: &Option<String>) -> Option<Vec<u8>> {
    bytes(text).filter(|bytes| bytes.len() == COORDINATE)
}

/// Whether a text can be the id of a key: it stands in the log.
pub(super) fn is_kid(text: &str) -> bool {
    let is_of_kid = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/+=-".contains(&byte);
    (1..=LONGEST_KID).contains(&text.len()) && text.bytes().all(is_of_kid)
}

#[derive(Debug, Deserialize)]
struct KeySetText {
    keys: Vec<Value>,
}

/// The keys of an issuer.
#[derive(Clone, Debug, Default)]
pub(super) struct IssuerKeys(Vec<IssuerKey>);

impl IssuerKeys {
    /// From a JWK set. Members that we do not verify with are left out; without any other the set is an error.
    pub(super) fn of_json(text: &[u8]) -> Result<IssuerKeys, String> {
        let set: KeySetText = serde_json::from_slice(text).map_err(|error| format!("is no JWK set: {error}"))?;
        let keys = set.keys.into_iter().take(MOST_KEYS).filter_map(|key| serde_json::from_value::<KeyText>(key).ok());
        let keys: Vec<IssuerKey> = keys.filter_map(KeyText::checked).collect();
        if keys.is_empty() {
            return Err("has no key for RS256, ES256 or EdDSA".to_owned());
        }
        Ok(IssuerKeys(keys))
    }

    /// The key that a token names; one without a name is for the only key of the issuer.
    pub(super) fn find(&self, kid: Option<&str>) -> Option<&IssuerKey> {
        match kid {
            Some(kid) => self.0.iter().find(|key| key.kid.as_deref() == Some(kid)),
            None if self.0.len() == 1 => self.0.first(),
            None => None,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}
