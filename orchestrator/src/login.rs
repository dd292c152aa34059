//! Who calls the API: keys and tokens, and what their roles allow. Knows HTTP only to ask an issuer.

mod claims;
mod code_flow;
mod discovery;
mod gate;
mod identity;
mod issuer_keys;
mod jwks;
mod key_file;
mod refusal;
mod session;
mod signature;
mod token;

pub(crate) use code_flow::{CodeAnswer, CodeFlowConfig, EndedLogin, LOGIN_LIFE};
pub(crate) use discovery::{IssuerEndpoints, bounded_json, discover, issuer_client, safe_address};
pub(crate) use gate::LoginGate;
#[cfg(test)]
pub(crate) use identity::LoginProof;
pub(crate) use identity::{LoginIdentity, LoginRole, RoleGrant};
pub(crate) use key_file::{KeyFileError, NewKey, is_key_id};
pub(crate) use refusal::LoginRefusal;
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
    /// How the pages log in at the issuer of tokens; `None`: they do not.
    pub(crate) code_flow: Option<CodeFlowConfig>,
    /// As which client commands log in at the issuer, from devices.
    pub(crate) device_client: Option<String>,
    /// What the names in certificates of clients allow.
    pub(crate) clients: BTreeMap<String, RoleGrant>,
    /// Whether metrics need no login.
    pub(crate) open_metrics: bool,
    /// Seals the sessions of browsers; `None`: a key of this process.
    pub(crate) session_key: Option<[u8; 32]>,
}
