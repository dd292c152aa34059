//! Why a login was refused.

use super::token::TokenRefusal;

/// Why a login was refused, for the log; both texts are safe to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoginRefusal {
    pub(crate) class: &'static str,
    /// The id of the issuer's key that the token names.
    pub(crate) kid: Option<String>,
}

impl LoginRefusal {
    pub(super) fn of(class: &'static str) -> LoginRefusal {
        LoginRefusal { class, kid: None }
    }
}

impl From<TokenRefusal> for LoginRefusal {
    fn from(refusal: TokenRefusal) -> LoginRefusal {
        let class = refusal.as_str();
        if let TokenRefusal::UnknownKey(kid) = refusal { LoginRefusal { class, kid } } else { LoginRefusal::of(class) }
    }
}
