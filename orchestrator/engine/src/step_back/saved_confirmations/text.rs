//! What is known to be committed, as one line.

use saga_event_store::{CommitConfirmation, ConfirmedAppend};
use uuid::Uuid;

/// The first word of each saved text.
const FORMAT: &str = "saga.store";

pub(super) fn of(confirmed: &CommitConfirmation, installation: Uuid) -> String {
    let CommitConfirmation { writer, number, at_ms, append } = confirmed;
    let mut text = format!("{FORMAT} {installation} {writer} {number} {at_ms}");
    if let Some(ConfirmedAppend { stream, version, append_id, at_ms }) = append {
        text.push_str(&format!(" {stream} {version} {append_id} {at_ms}"));
    }
    text
}

/// `None`: another program wrote the text, or it is about another installation. Unknown words at the end are ignored.
pub(super) fn parse(text: &str, installation: Uuid) -> Option<CommitConfirmation> {
    let mut words = text.split(' ');
    if words.next()? != FORMAT || words.next()?.parse() != Ok(installation) {
        return None;
    }
    let (writer, number, at_ms) = (word(&mut words)?, word(&mut words)?, word(&mut words)?);
    Some(CommitConfirmation { writer, number, at_ms, append: append(&mut words) })
}

fn append<'t>(words: &mut impl Iterator<Item = &'t str>) -> Option<ConfirmedAppend> {
    Some(ConfirmedAppend { stream: word(words)?, version: word(words)?, append_id: word(words)?, at_ms: word(words)? })
}

fn word<'t, T: std::str::FromStr>(words: &mut impl Iterator<Item = &'t str>) -> Option<T> {
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        let installation = Uuid::from_u128(1);
        let append =
            ConfirmedAppend { stream: Uuid::from_u128(3), version: 4, append_id: Uuid::from_u128(5), at_ms: 6 };
        let without =
            CommitConfirmation { writer: Uuid::from_u128(2), number: 77, at_ms: 1_700_000_000_000, append: None };
        for confirmed in [without.clone(), CommitConfirmation { append: Some(append), ..without }] {
            let text = of(&confirmed, installation);
            assert_eq!(parse(&text, installation), Some(confirmed));
            assert!(text.len() < 300, "a broker takes 4096 bytes: {text}");
        }
    }

    #[test]
    fn what_others_wrote_is_nothing() {
        for text in ["", "by hand", "saga.log 0", "saga.store", "saga.store x y 1 2"] {
            assert_eq!(parse(text, Uuid::nil()), None, "{text}");
        }
    }
}
