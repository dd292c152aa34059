//! Keys, and the forms that they give to bytes. This module knows no streams of a store and no database.

mod data_key;
mod form;
mod key_ring;

pub use data_key::DataKey;
pub use form::{SEAL_BYTES, is_sealed};
pub use key_ring::{KeyEncryptionKey, KeyRing};

pub(crate) use data_key::WrappedKey;
pub(crate) use form::{SealedPart, SealedPlace, content_bytes, open, seal};
