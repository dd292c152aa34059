//! Sessions of browsers: who has logged in is in the cookie itself, sealed, so that every engine with the key opens it
//! and none has to remember it.

use super::identity::{LoginIdentity, LoginProof, LoginRole, RoleGrant};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest session.
pub(crate) const SESSION_LIFE: Duration = Duration::from_secs(8 * 3600);
/// What is sealed, so that no other sealed text passes for a session.
const CONTEXT: &[u8] = b"saga session 1";

/// What a session says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionContent {
    pub(crate) identity: LoginIdentity,
    /// What our own pages send with a request that changes something.
    pub(crate) page_token: String,
}

#[derive(Serialize, Deserialize)]
struct SessionText {
    subject: String,
    role: String,
    payloads: bool,
    /// The id of the key, or of the issuer's key.
    proof: String,
    /// The hash of a key; empty for a token.
    hash: Vec<u8>,
    expires: u64,
    page: String,
    /// The id of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
}

/// Seals and opens sessions.
pub(super) struct SessionSeal(LessSafeKey);

impl std::fmt::Debug for SessionSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionSeal")
    }
}

impl SessionSeal {
    /// With the key of the configuration, or one that ends with the process.
    pub(super) fn new(key: Option<[u8; 32]>) -> Result<SessionSeal, Unspecified> {
        let key = match key {
            Some(key) => key,
            None => random()?,
        };
        Ok(SessionSeal(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key)?)))
    }

    /// The cookie of a new session, and what is in it. The session ends with what proved who the caller is.
    pub(super) fn seal(
        &self,
        identity: LoginIdentity,
        now: SystemTime,
    ) -> Result<(String, SessionContent), Unspecified> {
        let end = now + SESSION_LIFE;
        let expires = identity.expires.map_or(end, |proof_ends| proof_ends.min(end));
        let identity = LoginIdentity { expires: Some(expires), ..identity };
        let content = SessionContent { page_token: URL_SAFE_NO_PAD.encode(random::<32>()?), identity };
        let text = text_of(&content, expires).ok_or(Unspecified)?;
        let text = serde_json::to_vec(&text).map_err(|_| Unspecified)?;
        Ok((self.seal_bytes(CONTEXT, text)?, content))
    }

    /// Bytes as text that nobody reads or changes, and that opens in this context only.
    pub(super) fn seal_bytes(&self, context: &'static [u8], mut bytes: Vec<u8>) -> Result<String, Unspecified> {
        let nonce = random::<NONCE_LEN>()?;
        self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut bytes)?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &bytes].concat()))
    }

    /// `None`: we have not sealed it in this context.
    pub(super) fn open_bytes(&self, context: &'static [u8], sealed: &str) -> Option<Vec<u8>> {
        let mut sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
        let opened = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), sealed).ok()?;
        Some(opened.to_vec())
    }

    /// `None`: this is no session of ours, or it has ended.
    pub(super) fn open(&self, cookie: &str, now: SystemTime) -> Option<SessionContent> {
        let text = self.open_bytes(CONTEXT, cookie)?;
        content_of(serde_json::from_slice(&text).ok()?).filter(|content| content.identity.expires > Some(now))
    }
}

pub(super) fn random<const BYTES: usize>() -> Result<[u8; BYTES], Unspecified> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes)?;
    Ok(bytes)
}

/// `None`: each request proves by itself who sends it, so there is no session.
fn text_of(content: &SessionContent, expires: SystemTime) -> Option<SessionText> {
    let LoginIdentity { subject, grant, proof, .. } = &content.identity;
    let (proof, hash, jti) = match proof {
        LoginProof::Key { id, hash } => (id.clone(), hash.to_vec(), None),
        LoginProof::Token { kid, jti } => (kid.clone(), Vec::new(), jti.clone()),
        LoginProof::Certificate { .. } => return None,
    };
    Some(SessionText {
        subject: subject.clone(),
        role: grant.role.as_str().to_owned(),
        payloads: grant.payloads,
        proof,
        hash,
        expires: expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        page: content.page_token.clone(),
        jti,
    })
}

fn content_of(text: SessionText) -> Option<SessionContent> {
    let proof = match <[u8; 32]>::try_from(text.hash.as_slice()) {
        Ok(hash) => LoginProof::Key { id: text.proof, hash },
        Err(_) => LoginProof::Token { kid: text.proof, jti: text.jti },
    };
    let grant = RoleGrant { role: LoginRole::named(&text.role)?, payloads: text.payloads };
    let expires = Some(UNIX_EPOCH + Duration::from_secs(text.expires));
    let identity = LoginIdentity { subject: text.subject, grant, proof, expires };
    Some(SessionContent { identity, page_token: text.page })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna() -> LoginIdentity {
        LoginIdentity {
            subject: "anna".to_owned(),
            grant: RoleGrant { role: LoginRole::Operator, payloads: true },
            proof: LoginProof::Token { kid: "k1".to_owned(), jti: None },
            expires: None,
        }
    }

    #[test]
    fn a_session_opens_with_its_key_until_its_end() {
        let seal = SessionSeal::new(Some([7; 32])).expect("a key");
        let now = SystemTime::now();
        let (cookie, content) = seal.seal(anna(), now).expect("a session");
        let opened = SessionSeal::new(Some([7; 32])).expect("a key").open(&cookie, now).expect("it is ours");
        assert_eq!((&opened.page_token, &opened.identity.subject), (&content.page_token, &content.identity.subject));
        assert!(seal.open(&cookie, now + SESSION_LIFE).is_none(), "it has ended");
        assert!(SessionSeal::new(None).expect("a key").open(&cookie, now).is_none(), "another key");
    }

    #[test]
    fn a_session_does_not_outlive_its_token() {
        let seal = SessionSeal::new(None).expect("a key");
        let now = SystemTime::now();
        let short = LoginIdentity { expires: Some(now + Duration::from_secs(60)), ..anna() };
        let (cookie, _) = seal.seal(short, now).expect("a session");
        assert!(seal.open(&cookie, now).is_some() && seal.open(&cookie, now + Duration::from_secs(61)).is_none());
    }

    #[test]
    fn a_cookie_that_was_changed_is_none() {
        let seal = SessionSeal::new(None).expect("a key");
        let (cookie, _) = seal.seal(anna(), SystemTime::now()).expect("a session");
        for at in [0, cookie.len() / 2, cookie.len() - 2] {
            let other = if cookie.as_bytes()[at] == b'A' { "B" } else { "A" };
            let changed = format!("{}{other}{}", &cookie[..at], &cookie[at + 1..]);
            assert!(seal.open(&changed, SystemTime::now()).is_none(), "{at}");
        }
        for wrong in ["", "A", "AAAA", &cookie[..20]] {
            assert!(seal.open(wrong, SystemTime::now()).is_none(), "{wrong}");
        }
    }
}
