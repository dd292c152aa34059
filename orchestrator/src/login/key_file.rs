//! Static API keys: `saga_<id>_<32 random bytes>`. The file has the SHA-256 of each, so that who reads the file cannot
//! log in. 256 random bits need no slow hash.

use super::identity::{LoginIdentity, LoginProof, LoginRole, RoleGrant};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use saga_core::time::{Timestamp, from_rfc3339, rfc3339};
use serde::Deserialize;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use subtle::ConstantTimeEq;

/// What every key begins with, so that scanners for leaked secrets find it.
pub(super) const PREFIX: &str = "saga_";
/// The longest id of a key.
const LONGEST_ID: usize = 32;
/// Random bytes of a key.
const SECRET_BYTES: usize = 32;

/// The file of keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {why}")]
pub(crate) struct KeyFileError {
    place: String,
    why: String,
}

impl KeyFileError {
    fn of(place: &Path, why: &str) -> KeyFileError {
        KeyFileError { place: place.display().to_string(), why: why.to_owned() }
    }
}

/// A key as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredKey {
    id: String,
    hash: [u8; 32],
    grant: RoleGrant,
    expires: Option<Timestamp>,
}

/// A line of the file, before it was checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyLine {
    id: String,
    sha256: String,
    role: String,
    #[serde(default)]
    payloads: bool,
    expires: Option<String>,
}

impl KeyLine {
    fn checked(self) -> Result<StoredKey, String> {
        let KeyLine { id, sha256, role, payloads, expires } = self;
        if !is_key_id(&id) {
            return Err(format!("`id` is `{id}`: expected 1 to {LONGEST_ID} of a-z 0-9 -"));
        }
        let hash = from_hex(&sha256).ok_or_else(|| format!("key `{id}`: `sha256` must be 64 hexadecimal digits"))?;
        let role = LoginRole::named(&role)
            .ok_or_else(|| format!("key `{id}`: `role` is `{role}`: expected viewer, operator or admin"))?;
        let expires = match expires {
            None => None,
            Some(text) => Some(from_rfc3339(&text).ok_or_else(|| {
                format!("key `{id}`: `expires` is `{text}`: expected a time, like 2027-01-31T00:00:00Z")
            })?),
        };
        Ok(StoredKey { id, hash, grant: RoleGrant { role, payloads }, expires })
    }
}

impl StoredKey {
    fn is_valid(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now < time_of(expires))
    }

    fn identity(&self) -> LoginIdentity {
        LoginIdentity {
            subject: format!("key:{}", self.id),
            grant: self.grant,
            proof: LoginProof::Key { id: self.id.clone(), hash: self.hash },
            expires: self.expires.map(time_of),
        }
    }
}

fn time_of(Timestamp(ms): Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// The keys of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StoredKeys(Vec<StoredKey>);

impl StoredKeys {
    pub(super) fn read(file: &Path) -> Result<StoredKeys, KeyFileError> {
        let text = fs::read_to_string(file).map_err(|error| {
            KeyFileError::of(file, &format!("cannot be read: {error}; `saga keys create` makes it"))
        })?;
        StoredKeys::of_text(&text).map_err(|why| KeyFileError::of(file, &why))
    }

    fn of_text(text: &str) -> Result<StoredKeys, String> {
        let lines: Option<Vec<KeyLine>> =
            serde_saphyr::from_str(text).map_err(|error| format!("is no list of keys: {}", error.without_snippet()))?;
        let keys = lines.unwrap_or_default().into_iter().map(KeyLine::checked).collect::<Result<Vec<_>, _>>()?;
        for (position, key) in keys.iter().enumerate() {
            if keys[..position].iter().any(|other| other.id == key.id) {
                return Err(format!("two keys have the id `{}`: expected one; remove the old line", key.id));
            }
        }
        Ok(StoredKeys(keys))
    }

    /// Who has the key; `None`: it is none of these, or has expired.
    pub(super) fn identity(&self, presented: &str, now: SystemTime) -> Option<LoginIdentity> {
        let (id, secret) = presented.strip_prefix(PREFIX)?.split_once('_')?;
        if URL_SAFE_NO_PAD.decode(secret).ok()?.len() != SECRET_BYTES {
            return None;
        }
        self.identity_of(id, &hash_of(presented), now)
    }

    /// The same for the hash of a key, which a session remembers.
    pub(super) fn identity_of(&self, id: &str, hash: &[u8; 32], now: SystemTime) -> Option<LoginIdentity> {
        let key = self.0.iter().find(|key| key.id == id)?;
        let is_same = bool::from(key.hash.ct_eq(hash));
        (is_same && key.is_valid(now)).then(|| key.identity())
    }
}

/// Whether a key may have this id: it is part of the key, and stands in the record of acts.
pub(crate) fn is_key_id(text: &str) -> bool {
    let is_of_id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(is_of_id)
}

fn hash_of(key: &str) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
    digest.as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    text.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>()?.try_into().ok()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key that is made now.
#[derive(Clone, Debug)]
pub(crate) struct NewKey {
    pub(crate) id: String,
    pub(crate) grant: RoleGrant,
    pub(crate) expires: Option<Timestamp>,
}

impl NewKey {
    /// Adds the key to the file and answers it; nothing else ever shows it. A file that is new can be read by its
    /// owner only.
    ///
    /// # Errors
    /// The file cannot be read or written, or has a key with this id.
    pub(crate) fn add_to(&self, file: &Path) -> Result<String, KeyFileError> {
        let known = if file.exists() { StoredKeys::read(file)? } else { StoredKeys::default() };
        if known.0.iter().any(|key| key.id == self.id) {
            return Err(KeyFileError::of(file, &format!("has a key `{}`: choose another --id", self.id)));
        }
        let key = self.made().map_err(|why| KeyFileError::of(file, why))?;
        self.append(file, &key).map_err(|error| KeyFileError::of(file, &format!("cannot be written: {error}")))?;
        Ok(key)
    }

    fn made(&self) -> Result<String, &'static str> {
        let mut secret = [0; SECRET_BYTES];
        SystemRandom::new().fill(&mut secret).map_err(|_| "this machine gives no random bytes")?;
        Ok(format!("{PREFIX}{}_{}", self.id, URL_SAFE_NO_PAD.encode(secret)))
    }

    fn append(&self, file: &Path, key: &str) -> std::io::Result<()> {
        let RoleGrant { role, payloads } = self.grant;
        let expires = self.expires.map(|at| format!(", expires: \"{}\"", rfc3339(at))).unwrap_or_default();
        let (id, hash) = (&self.id, to_hex(&hash_of(key)));
        let line =
            format!("- {{id: \"{id}\", role: {}, payloads: {payloads}, sha256: \"{hash}\"{expires}}}\n", role.as_str());
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()
    }
}

/// Reads the file again when it has changed, so that a key that is removed ends at once.
#[derive(Debug)]
pub(super) struct KeyFileWatch {
    file: PathBuf,
    keys: StoredKeys,
    seen: Option<(SystemTime, u64)>,
}

impl KeyFileWatch {
    pub(super) fn open(file: PathBuf) -> Result<KeyFileWatch, KeyFileError> {
        let keys = StoredKeys::read(&file)?;
        let seen = state_of(&file);
        Ok(KeyFileWatch { file, keys, seen })
    }

    /// The keys as the file has them now. While it cannot be read, those that were read last.
    pub(super) fn keys(&mut self) -> &StoredKeys {
        let now = state_of(&self.file);
        if now != self.seen {
            self.seen = now;
            match StoredKeys::read(&self.file) {
                Ok(keys) => self.keys = keys,
                Err(error) => tracing::warn!(%error, "the API keeps the keys that it has"),
            }
        }
        &self.keys
    }
}

fn state_of(file: &Path) -> Option<(SystemTime, u64)> {
    let facts = fs::metadata(file).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_key(id: &str, expires: Option<Timestamp>) -> NewKey {
        NewKey { id: id.to_owned(), grant: RoleGrant { role: LoginRole::Operator, payloads: true }, expires }
    }

    #[test]
    fn a_key_that_was_made_logs_in_and_is_not_in_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys.yaml");
        let (one, other) = (new_key("ci", None), new_key("grafana", Some(Timestamp(1_000))));
        let (one, other) = (one.add_to(&file).expect("a key"), other.add_to(&file).expect("a key"));
        let keys = StoredKeys::read(&file).expect("a file of keys");
        let known = keys.identity(&one, SystemTime::now()).expect("the key is known");
        assert_eq!((known.subject.as_str(), known.grant.role), ("key:ci", LoginRole::Operator));
        assert!(keys.identity(&other, SystemTime::now()).is_none(), "it has expired");
        assert!(keys.identity(&other, UNIX_EPOCH).is_some());
        let secret = one.rsplit('_').next().expect("a secret");
        assert!(!fs::read_to_string(&file).expect("a text").contains(secret));
        let twice = new_key("ci", None).add_to(&file).expect_err("it is there");
        assert!(twice.to_string().contains("choose another --id"), "{twice}");
    }

    #[test]
    fn what_differs_in_anything_is_no_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys.yaml");
        let key = new_key("ci", None).add_to(&file).expect("a key");
        let keys = StoredKeys::read(&file).expect("a file of keys");
        let other_end = format!("{}{}", &key[..key.len() - 2], if key.ends_with("AA") { "BB" } else { "AA" });
        for wrong in ["", "saga_", "saga_ci_", "saga_ci", &key[1..], &key[..key.len() - 1], &other_end, "saga_cd_AAAA"]
        {
            assert!(keys.identity(wrong, SystemTime::now()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_file_is_told_with_the_key_and_what_was_expected() {
        let hash = "0".repeat(64);
        for (text, said) in [
            (format!("- {{id: A, role: viewer, sha256: \"{hash}\"}}"), "expected 1 to 32 of a-z 0-9 -"),
            (format!("- {{id: a, role: root, sha256: \"{hash}\"}}"), "expected viewer, operator or admin"),
            ("- {id: a, role: viewer, sha256: \"00\"}".to_owned(), "64 hexadecimal digits"),
            (format!("- {{id: a, role: viewer, sha256: \"{hash}\", expires: soon}}"), "expected a time"),
            (
                format!("- {{id: a, role: viewer, sha256: \"{hash}\"}}\n- {{id: a, role: viewer, sha256: \"{hash}\"}}"),
                "two keys",
            ),
            ("keys: 1".to_owned(), "is no list of keys"),
        ] {
            let wrong = StoredKeys::of_text(&text).expect_err(&text);
            assert!(wrong.contains(said), "{text}: {wrong}");
        }
        assert_eq!(StoredKeys::of_text(""), Ok(StoredKeys::default()));
    }
}
