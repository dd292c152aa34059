//! Who acts, why, and from where.

use serde::{Deserialize, Serialize};

/// Bytes of a text of an origin that are kept: longer than ids and addresses are.
const TEXT_BYTES: usize = 512;

/// From where an act came, beside the name of its author. It is kept in the audit and not in the saga's journal, which
/// leaves the store: in archives, and in the topic of all events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActOrigin {
    /// The name that a login proved; `None`: there was no login, and the name is what the caller said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Which key or token proved it; never the key or the token itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The address of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl ActOrigin {
    /// Whether nothing is known: the act came from an earlier build, or not through the API.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == ActOrigin::default()
    }

    /// The same as every store takes it: short, and without NUL.
    #[must_use]
    pub fn bounded(&self) -> ActOrigin {
        let text = |text: &Option<String>| {
            let text = text.as_ref().map(|text| text.replace('\0', "\u{fffd}"));
            let short = |text: String| text[..text.floor_char_boundary(TEXT_BYTES)].to_owned();
            text.map(short).filter(|text| !text.is_empty())
        };
        let ActOrigin { subject, token, address, request } = self;
        ActOrigin { subject: text(subject), token: text(token), address: text(address), request: text(request) }
    }
}

/// The author of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActAuthor {
    /// The name of the operator.
    pub who: String,
    /// The operator's reason.
    pub reason: String,
    /// From where the act came.
    pub origin: ActOrigin,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_fits_every_store() {
        let long =
            ActOrigin { token: Some("ä\0".repeat(TEXT_BYTES)), request: Some(String::new()), ..ActOrigin::default() };
        let bounded = long.bounded();
        let token = bounded.token.expect("a token");
        assert!(token.len() <= TEXT_BYTES && !token.contains('\0'));
        assert_eq!(bounded.request, None);
    }

    #[test]
    fn what_is_not_known_is_not_written() {
        assert_eq!(serde_json::to_string(&ActOrigin::default()).expect("JSON"), "{}");
        assert_eq!(serde_json::from_str::<ActOrigin>("{}").expect("an origin"), ActOrigin::default());
    }
}
