//! Tokens of an issuer (JWT). Nothing in a token says how it is verified: the algorithm is that of the issuer's key.

use super::{
    claims::TokenObject,
    identity::{LoginIdentity, LoginProof, RoleGrant},
    issuer_keys::{IssuerKey, IssuerKeys, is_kid},
    jwks::IssuerKeySource,
    signature,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Validation, errors::ErrorKind};
use reqwest::Url;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The largest token.
const MOST_BYTES: usize = 8 * 1024;
/// The longest subject: it is the name on record.
const LONGEST_SUBJECT: usize = 256;
/// Members of a header that are understood, or are hints without weight. A header with another one is refused: it
/// would say where a key is, or that the token is more than a signed one.
const HEADER: [&str; 5] = ["alg", "typ", "kid", "x5t", "x5t#S256"];

/// Whose tokens are taken, and what they allow.
#[derive(Clone, Debug)]
pub(crate) struct TokenRules {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// Where the issuer has its keys.
    pub(crate) jwks: Url,
    /// How much the clocks may differ.
    pub(crate) skew: Duration,
    /// The path of the claim with the roles.
    pub(crate) roles_claim: Vec<String>,
    /// What a value of that claim allows.
    pub(crate) roles: BTreeMap<String, RoleGrant>,
}

/// Why a token was refused; the class is for the log, never for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenRefusal {
    /// It is no token, or more than one that is signed.
    Malformed,
    /// The issuer has no key of this name.
    UnknownKey(Option<String>),
    /// The header names another algorithm than the key has.
    Algorithm,
    Signature,
    /// A claim is missing, or has a value that it cannot have.
    Claim(&'static str),
    Expired,
    NotYet,
    /// No value of the claim with the roles has a role.
    NoRole,
}

impl TokenRefusal {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            TokenRefusal::Malformed => "malformed",
            TokenRefusal::UnknownKey(_) => "unknown key",
            TokenRefusal::Algorithm => "wrong algorithm",
            TokenRefusal::Signature => "wrong signature",
            TokenRefusal::Claim(name) => name,
            TokenRefusal::Expired => "expired",
            TokenRefusal::NotYet => "not valid yet",
            TokenRefusal::NoRole => "no role",
        }
    }
}

impl TokenRules {
    /// Who the token is of, and all that it says. An unknown key may be a new one: the issuer is asked once.
    pub(super) async fn verified(
        &self,
        token: &str,
        source: &IssuerKeySource,
    ) -> Result<(LoginIdentity, TokenObject), TokenRefusal> {
        let first = self.read(token, &source.known());
        if matches!(first, Err(TokenRefusal::UnknownKey(_))) {
            source.refresh().await;
            return self.read(token, &source.known());
        }
        first
    }

    fn read(&self, token: &str, keys: &IssuerKeys) -> Result<(LoginIdentity, TokenObject), TokenRefusal> {
        let kid = kid_of(token)?;
        let Some(key) = keys.find(kid.name.as_deref()) else { return Err(TokenRefusal::UnknownKey(kid.name)) };
        if kid.alg != key.alg() {
            return Err(TokenRefusal::Algorithm);
        }
        signature::install();
        let read = jsonwebtoken::decode::<TokenObject>(token, &key.key, &self.validation(key));
        let claims = read.map_err(|error| refusal(error.kind()))?.claims;
        let identity = self.checked(&claims, kid.name.unwrap_or_default(), SystemTime::now())?;
        Ok((identity, claims))
    }

    fn validation(&self, key: &IssuerKey) -> Validation {
        let mut rules = Validation::new(key.algorithm);
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[&self.audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        rules.validate_nbf = true;
        rules.leeway = self.skew.as_secs();
        rules
    }

    /// What the library takes and we do not: an issuer that is a list, times that are no seconds, a token from the
    /// future, a subject that is no name.
    fn checked(&self, claims: &TokenObject, kid: String, now: SystemTime) -> Result<LoginIdentity, TokenRefusal> {
        if claims.text("iss") != Some(self.issuer.as_str()) {
            return Err(TokenRefusal::Claim("iss"));
        }
        let subject = claims.text("sub").filter(|text| is_subject(text)).ok_or(TokenRefusal::Claim("sub"))?;
        let expires = time(claims, "exp")?.ok_or(TokenRefusal::Claim("exp"))?;
        time(claims, "nbf")?;
        if time(claims, "iat")?.is_some_and(|at| at > now + self.skew) {
            return Err(TokenRefusal::NotYet);
        }
        let grant = self.grant(claims).ok_or(TokenRefusal::NoRole)?;
        let jti = claims.text("jti").filter(|text| is_subject(text)).map(str::to_owned);
        let proof = LoginProof::Token { kid, jti };
        Ok(LoginIdentity { subject: subject.to_owned(), grant, proof, expires: Some(expires + self.skew) })
    }

    fn grant(&self, claims: &TokenObject) -> Option<RoleGrant> {
        let named = claims.texts(&self.roles_claim);
        named.into_iter().filter_map(|name| self.roles.get(name).copied()).reduce(RoleGrant::or)
    }
}

/// What the header of a token says of the key.
struct TokenKeyName {
    name: Option<String>,
    alg: String,
}

/// Reads the header, strictly: nothing else in it is ever used.
fn kid_of(token: &str) -> Result<TokenKeyName, TokenRefusal> {
    let parts: Vec<&str> = token.split('.').collect();
    if token.len() > MOST_BYTES || parts.len() != 3 || parts.iter().any(|part| part.is_empty()) {
        return Err(TokenRefusal::Malformed);
    }
    let header = URL_SAFE_NO_PAD.decode(parts[0]).map_err(|_| TokenRefusal::Malformed)?;
    let header: TokenObject = serde_json::from_slice(&header).map_err(|_| TokenRefusal::Malformed)?;
    let is_understood = header.0.keys().all(|name| HEADER.contains(&name.as_str()));
    if !is_understood || !is_type(&header) {
        return Err(TokenRefusal::Malformed);
    }
    let name = header.text("kid").map(str::to_owned);
    if header.has("kid") && !name.as_deref().is_some_and(is_kid) {
        return Err(TokenRefusal::Malformed);
    }
    let alg = header.text("alg").ok_or(TokenRefusal::Malformed)?.to_owned();
    Ok(TokenKeyName { name, alg })
}

fn is_type(header: &TokenObject) -> bool {
    let named = header.text("typ").map(str::to_ascii_lowercase);
    match named.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind)) {
        Some("jwt" | "at+jwt") => true,
        Some(_) => false,
        None => !header.has("typ"),
    }
}

fn is_subject(text: &str) -> bool {
    (1..=LONGEST_SUBJECT).contains(&text.len())
        && !text.trim().is_empty()
        && !["key:", "cert:"].iter().any(|ours| text.starts_with(ours))
        && !text.chars().any(char::is_control)
}

/// `None`: the token has no such time.
fn time(claims: &TokenObject, name: &'static str) -> Result<Option<SystemTime>, TokenRefusal> {
    /// The year 9999: later times do not fit into every clock.
    const LATEST: u64 = 253_402_300_799;
    if !claims.has(name) {
        return Ok(None);
    }
    let seconds = claims.seconds(name).filter(|seconds| *seconds <= LATEST).ok_or(TokenRefusal::Claim(name))?;
    Ok(Some(UNIX_EPOCH + Duration::from_secs(seconds)))
}

fn refusal(kind: &ErrorKind) -> TokenRefusal {
    match kind {
        ErrorKind::InvalidSignature => TokenRefusal::Signature,
        ErrorKind::ExpiredSignature => TokenRefusal::Expired,
        ErrorKind::ImmatureSignature => TokenRefusal::NotYet,
        ErrorKind::InvalidIssuer => TokenRefusal::Claim("iss"),
        ErrorKind::InvalidAudience => TokenRefusal::Claim("aud"),
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => TokenRefusal::Claim("claim"),
        ErrorKind::InvalidAlgorithm => TokenRefusal::Algorithm,
        // The kinds of the library grow; each other one is about a text that is no token.
        _ => TokenRefusal::Malformed,
    }
}
