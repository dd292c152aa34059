//! Who calls the API: keys and tokens, and what their roles allow. Knows HTTP only to fetch the keys of an issuer.

mod claims;
mod gate;
mod identity;
mod issuer_keys;
mod jwks;
mod key_file;
mod session;
mod signature;
mod token;

pub(crate) use gate::{LoginGate, LoginRefusal};
#[cfg(test)]
pub(crate) use identity::LoginProof;
pub(crate) use identity::{LoginIdentity, LoginRole, RoleGrant};
pub(crate) use key_file::{KeyFileError, NewKey, is_key_id};
pub(crate) use session::{SESSION_LIFE, SessionContent};
pub(crate) use token::TokenRules;

use std::{collections::BTreeMap, path::PathBuf};

/// How callers log in.
#[derive(Clone, Debug)]
pub(crate) struct LoginConfig {
    /// The file of static keys.
    pub(crate) keys: Option<PathBuf>,
    /// Whose tokens are taken.
    pub(crate) tokens: Option<TokenRules>,
    /// What the names in certificates of clients allow.
    pub(crate) clients: BTreeMap<String, RoleGrant>,
    /// Whether metrics need no login.
    pub(crate) open_metrics: bool,
    /// Seals the sessions of browsers; `None`: a key of this process.
    pub(crate) session_key: Option<[u8; 32]>,
}
