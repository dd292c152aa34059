//! Data keys, and the form in which the database has them.

use super::key_ring::{KEY_BYTES, KEY_ID_BYTES, KeyEncryptionKey};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use std::fmt;
use uuid::Uuid;

/// A reader refuses a number that it does not know.
const FORMAT: u8 = 1;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_LEN + KEY_BYTES + TAG_BYTES;

/// The key of one stream. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey([u8; KEY_BYTES]);

impl DataKey {
    /// A new key, from the random numbers of the operating system.
    #[must_use]
    pub fn draw() -> DataKey {
        DataKey(random())
    }

    pub(super) fn cipher(&self) -> LessSafeKey {
        cipher(&self.0)
    }

    /// The key as the database has it.
    pub(crate) fn wrapped(&self, by: &KeyEncryptionKey, stream: Uuid) -> WrappedKey {
        let nonce: [u8; NONCE_LEN] = random();
        let mut wrapped = Vec::with_capacity(WRAPPED_BYTES);
        wrapped.push(FORMAT);
        wrapped.extend_from_slice(&by.id_bytes());
        wrapped.extend_from_slice(&nonce);
        let mut key = self.0.to_vec();
        let cipher = cipher(&by.for_stream(stream));
        cipher
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(stream.as_bytes()), &mut key)
            .expect("a key is shorter than the cipher's limit");
        wrapped.extend_from_slice(&key);
        WrappedKey(wrapped)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

/// A data key as the database has it: a format number, the id of the key that wraps it, a nonce, and the wrapped key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrappedKey(pub(crate) Vec<u8>);

impl WrappedKey {
    /// Id of the key that wraps it; `None`: the bytes are no wrapped key of this build.
    pub(crate) fn key_id(&self) -> Option<String> {
        let is_known = self.0.len() == WRAPPED_BYTES && self.0[0] == FORMAT;
        is_known.then(|| super::key_ring::hex(&self.0[1..=KEY_ID_BYTES]))
    }

    /// The data key; `None`: the bytes are damaged, belong to another stream, or another key wraps them.
    pub(crate) fn unwrap(&self, by: &KeyEncryptionKey, stream: Uuid) -> Option<DataKey> {
        let rest = self.0.get(1 + KEY_ID_BYTES..)?;
        let (nonce, key) = rest.split_at_checked(NONCE_LEN)?;
        let (nonce, mut key) = (nonce.try_into().ok()?, key.to_vec());
        let cipher = cipher(&by.for_stream(stream));
        let nonce = Nonce::assume_unique_for_key(nonce);
        let key = cipher.open_in_place(nonce, Aad::from(stream.as_bytes()), &mut key).ok()?;
        Some(DataKey(<[u8; KEY_BYTES]>::try_from(&*key).ok()?))
    }
}

fn cipher(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has the length of the cipher"))
}

/// Random bytes of the operating system.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random numbers");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_opens_with_its_key_for_its_stream() {
        let (one, other) = (KeyEncryptionKey::new([1; 32]), KeyEncryptionKey::new([2; 32]));
        let (key, stream) = (DataKey::draw(), Uuid::from_u128(5));
        let wrapped = key.wrapped(&one, stream);
        assert_eq!(wrapped.key_id().as_deref(), Some(one.id().as_str()));
        assert_eq!(wrapped.unwrap(&one, stream), Some(key));
        assert_eq!(wrapped.unwrap(&other, stream), None);
        assert_eq!(wrapped.unwrap(&one, Uuid::from_u128(6)), None);
        assert_eq!(WrappedKey(wrapped.0[..40].to_vec()).key_id(), None);
    }

    #[test]
    fn no_key_is_shown() {
        assert_eq!(format!("{:?}", DataKey([7; 32])), "DataKey(…)");
    }
}
