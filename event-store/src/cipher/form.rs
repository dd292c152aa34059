//! The sealed form of stored bytes: a mark, a format number, which part of a row it is, a nonce, and the ciphertext
//! with its tag (AES-256-GCM). [ADR 0011](../../../docs/adr/0011-sealed-rows.md) has the reasons.

use super::data_key::DataKey;
use ring::aead::{Aad, NONCE_LEN, Nonce};
use uuid::Uuid;

/// No JSON text and no UTF-8 text begins with this byte and the format number.
const MARK: u8 = 0xe5;
/// A reader refuses a number that it does not know.
const FORMAT: u8 = 1;
/// Mark, format and part.
const HEAD_BYTES: usize = 3;
const TAG_BYTES: usize = 16;
/// Bytes that a sealed form has more than what it seals.
pub const SEAL_BYTES: usize = HEAD_BYTES + NONCE_LEN + TAG_BYTES;

/// Which part of a stream is sealed. The tag covers it, so that no part can take the place of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealedPart {
    /// The payload of a row.
    Payload,
    /// The outline of a row.
    Outline,
    /// The snapshot of the stream at a row.
    Snapshot,
}

impl SealedPart {
    const ALL: [SealedPart; 3] = [SealedPart::Payload, SealedPart::Outline, SealedPart::Snapshot];

    fn number(self) -> u8 {
        match self {
            SealedPart::Payload => 0,
            SealedPart::Outline => 1,
            SealedPart::Snapshot => 2,
        }
    }
}

/// The place of stored bytes. The tag covers it, so that the bytes of one row cannot stand for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealedPlace {
    pub(crate) stream: Uuid,
    pub(crate) version: u32,
}

/// Why bytes cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("its sealed form has format {0}, this build reads format {FORMAT}: a newer build wrote it")]
    Format(u8),
    #[error("its sealed form is too short or of an unknown part")]
    Shape,
    #[error("its sealed form is damaged, or was written for another row or with another key")]
    Tag,
}

/// Whether bytes have the sealed form.
#[must_use]
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.len() >= SEAL_BYTES && bytes[0] == MARK
}

/// The length of what a writer gave, sealed or not.
pub(crate) fn content_bytes(bytes: &[u8]) -> usize {
    if is_sealed(bytes) { bytes.len() - SEAL_BYTES } else { bytes.len() }
}

/// The sealed form of `plain`. Every call draws another nonce, so the same row can be sealed again with other content.
pub(crate) fn seal(key: &DataKey, place: SealedPlace, part: SealedPart, plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_LEN] = super::data_key::random();
    let mut sealed = Vec::with_capacity(plain.len() + SEAL_BYTES);
    sealed.extend_from_slice(&[MARK, FORMAT, part.number()]);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let body = &mut sealed[HEAD_BYTES + NONCE_LEN..];
    let tag = key.cipher().seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), covered(place, part), body);
    sealed.extend_from_slice(tag.expect("a row is far shorter than the cipher's limit of 64 GiB").as_ref());
    sealed
}

/// What was sealed, which has to be one of `parts`.
pub(crate) fn open(
    key: &DataKey,
    place: SealedPlace,
    parts: &[SealedPart],
    mut sealed: Vec<u8>,
) -> Result<Vec<u8>, SealError> {
    let (part, nonce) = head(&sealed, parts)?;
    let body = &mut sealed[HEAD_BYTES + NONCE_LEN..];
    let opened = key.cipher().open_in_place(Nonce::assume_unique_for_key(nonce), covered(place, part), body);
    let length = opened.map_err(|_| SealError::Tag)?.len();
    sealed.drain(..HEAD_BYTES + NONCE_LEN);
    sealed.truncate(length);
    Ok(sealed)
}

fn head(sealed: &[u8], parts: &[SealedPart]) -> Result<(SealedPart, [u8; NONCE_LEN]), SealError> {
    if !is_sealed(sealed) {
        return Err(SealError::Shape);
    }
    if sealed[1] != FORMAT {
        return Err(SealError::Format(sealed[1]));
    }
    let part = SealedPart::ALL.into_iter().find(|part| part.number() == sealed[2] && parts.contains(part));
    let nonce = sealed[HEAD_BYTES..HEAD_BYTES + NONCE_LEN].try_into().map_err(|_| SealError::Shape)?;
    Ok((part.ok_or(SealError::Shape)?, nonce))
}

fn covered(place: SealedPlace, part: SealedPart) -> Aad<[u8; 22]> {
    let mut text = [0; 22];
    text[0] = FORMAT;
    text[1] = part.number();
    text[2..18].copy_from_slice(place.stream.as_bytes());
    text[18..].copy_from_slice(&place.version.to_be_bytes());
    Aad::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: SealedPlace = SealedPlace { stream: Uuid::from_u128(7), version: 3 };

    #[test]
    fn what_is_sealed_opens_at_its_place_alone() {
        let key = DataKey::draw();
        let sealed = seal(&key, PLACE, SealedPart::Payload, b"canary");
        assert_eq!(sealed.len(), b"canary".len() + SEAL_BYTES);
        assert_eq!(content_bytes(&sealed), b"canary".len());
        assert!(is_sealed(&sealed) && !sealed.windows(6).any(|window| window == b"canary"));
        let opened = |place, parts: &[SealedPart]| open(&key, place, parts, sealed.clone());
        assert_eq!(opened(PLACE, &[SealedPart::Payload]).as_deref(), Ok(&b"canary"[..]));
        assert_eq!(opened(PLACE, &SealedPart::ALL).as_deref(), Ok(&b"canary"[..]));
        assert_eq!(opened(PLACE, &[SealedPart::Outline]), Err(SealError::Shape));
        let other_version = SealedPlace { version: 4, ..PLACE };
        let other_stream = SealedPlace { stream: Uuid::from_u128(8), ..PLACE };
        for place in [other_version, other_stream] {
            assert_eq!(opened(place, &[SealedPart::Payload]), Err(SealError::Tag));
        }
    }

    #[test]
    fn one_changed_bit_is_noticed_wherever_it_is() {
        let key = DataKey::draw();
        let sealed = seal(&key, PLACE, SealedPart::Payload, b"{}");
        for at in 1..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&key, PLACE, &SealedPart::ALL, changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn another_key_opens_nothing_and_no_two_forms_are_alike() {
        let (one, other) = (DataKey::draw(), DataKey::draw());
        let sealed = || seal(&one, PLACE, SealedPart::Outline, b"");
        assert_eq!(open(&other, PLACE, &SealedPart::ALL, sealed()), Err(SealError::Tag));
        assert_ne!(sealed(), sealed());
    }

    #[test]
    fn json_and_a_newer_format_are_told_apart() {
        let json = br#"{"v":1,"events":["sagaOverdue","sagaResumed"]}"#;
        assert!(!is_sealed(json) && !is_sealed(&[]));
        let mut newer = seal(&DataKey::draw(), PLACE, SealedPart::Payload, json);
        newer[1] = 2;
        assert_eq!(open(&DataKey::draw(), PLACE, &SealedPart::ALL, newer), Err(SealError::Format(2)));
    }
}
