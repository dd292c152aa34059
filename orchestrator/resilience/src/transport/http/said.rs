//! What a header says. That it is there and cannot be read is another thing than that it is not there.

use super::client::Response;
use hyper::header::HeaderName;

/// What an answer says in a header of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is not there.
    Nothing,
    /// Its value, without spaces around it.
    This(String),
    /// It is there, and nobody can tell what it says; why.
    Unreadable(String),
}

impl Said {
    /// What `response` says in the header `name`.
    pub(super) fn by(response: &Response, name: &HeaderName) -> Said {
        let mut said = Said::Nothing;
        for value in response.headers().get_all(name) {
            // Visible ASCII, as RFC 9110 has it: what others read into further bytes differs.
            let Ok(text) = value.to_str().map(str::trim) else {
                return Said::Unreadable(format!("`{name}` is not ASCII text"));
            };
            match said {
                _ if text.is_empty() => return Said::Unreadable(format!("`{name}` is empty")),
                Said::This(before) if before != text => {
                    return Said::Unreadable(format!("`{name}` occurs with different values"));
                }
                Said::Nothing | Said::This(_) | Said::Unreadable(_) => said = Said::This(text.to_owned()),
            }
        }
        said
    }
}
