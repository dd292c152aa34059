//! Who a caller is, and what the caller may do.

use std::time::SystemTime;

/// What a caller may do; a later role may all that an earlier one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LoginRole {
    /// Reads.
    Viewer,
    /// Acts on sagas, guards and dead letters, too.
    Operator,
    /// Changes what sagas run by, and removes what cannot be had again.
    Admin,
}

impl LoginRole {
    pub(crate) const ALL: [LoginRole; 3] = [LoginRole::Viewer, LoginRole::Operator, LoginRole::Admin];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            LoginRole::Viewer => "viewer",
            LoginRole::Operator => "operator",
            LoginRole::Admin => "admin",
        }
    }

    pub(crate) fn named(text: &str) -> Option<LoginRole> {
        LoginRole::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// A role, and whether its holder sees what sagas carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoleGrant {
    pub(crate) role: LoginRole,
    pub(crate) payloads: bool,
}

impl RoleGrant {
    /// All that one of the two allows.
    pub(crate) fn or(self, other: RoleGrant) -> RoleGrant {
        RoleGrant { role: self.role.max(other.role), payloads: self.payloads || other.payloads }
    }
}

/// What proved who the caller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoginProof {
    /// The static key with this id, and the hash of its secret.
    Key { id: String, hash: [u8; 32] },
    /// A token that the issuer's key with this id has signed, and the id that the token has.
    Token { kid: String, jti: Option<String> },
    /// A certificate with this name, which an authority of clients has signed.
    Certificate { name: String },
}

impl LoginProof {
    /// By what it is found again at who gave it out; never what it proves with.
    pub(crate) fn told(&self) -> String {
        match self {
            LoginProof::Key { id, .. } => format!("key:{id}"),
            LoginProof::Token { kid, jti: None } => format!("kid:{kid}"),
            LoginProof::Token { jti: Some(jti), .. } => format!("jti:{jti}"),
            LoginProof::Certificate { name } => format!("certificate:{name}"),
        }
    }
}

/// A caller that has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoginIdentity {
    /// The name on record: the subject of a token, `key:` and the id of a key, or `cert:` and a name in a certificate.
    pub(crate) subject: String,
    pub(crate) grant: RoleGrant,
    pub(crate) proof: LoginProof,
    /// When the key or token expires.
    pub(crate) expires: Option<SystemTime>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_grants_allow_what_one_of_them_allows() {
        let viewer = RoleGrant { role: LoginRole::Viewer, payloads: true };
        let operator = RoleGrant { role: LoginRole::Operator, payloads: false };
        assert_eq!(viewer.or(operator), RoleGrant { role: LoginRole::Operator, payloads: true });
    }

    #[test]
    fn a_proof_is_told_without_what_it_proves_with() {
        let key = LoginProof::Key { id: "ops".into(), hash: [7; 32] };
        let token = |jti: Option<&str>| LoginProof::Token { kid: "k1".into(), jti: jti.map(str::to_owned) };
        assert_eq!([key.told(), token(None).told(), token(Some("4711")).told()], ["key:ops", "kid:k1", "jti:4711"]);
    }

    #[test]
    fn a_role_is_named_by_its_word() {
        for role in LoginRole::ALL {
            assert_eq!(LoginRole::named(role.as_str()), Some(role));
        }
        assert_eq!(LoginRole::named("Admin"), None);
    }
}
