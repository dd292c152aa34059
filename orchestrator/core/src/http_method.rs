//! The words of HTTP's methods, as definitions write them and requests send them.

use crate::command::HttpMethod;
use std::str::FromStr;

/// A text is not a method that a definition may use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of the methods GET, POST, PUT, PATCH and DELETE")]
pub struct HttpMethodError(pub String);

impl HttpMethod {
    /// Every method that a definition may use.
    pub const ALL: [HttpMethod; 5] =
        [HttpMethod::Get, HttpMethod::Post, HttpMethod::Put, HttpMethod::Patch, HttpMethod::Delete];

    /// The method as it is sent: `POST`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            HttpMethod::Get => "GET",
            HttpMethod::Post => "POST",
            HttpMethod::Put => "PUT",
            HttpMethod::Patch => "PATCH",
            HttpMethod::Delete => "DELETE",
        }
    }
}

impl FromStr for HttpMethod {
    type Err = HttpMethodError;

    fn from_str(text: &str) -> Result<HttpMethod, HttpMethodError> {
        let is_it = |method: &HttpMethod| method.as_str() == text;
        HttpMethod::ALL.into_iter().find(is_it).ok_or_else(|| HttpMethodError(text.to_owned()))
    }
}
