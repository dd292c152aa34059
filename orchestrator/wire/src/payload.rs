//! Values of records: JSON within bounds.

use super::{
    poison::{PoisonCode, PoisonDiagnosis},
    record::KafkaRecord,
};
use saga_core::json;
use serde_json::Value;

/// Bytes of the largest record whose content is read: key, value and headers together. Larger ones are poison, whatever
/// they hold.
pub(crate) const LARGEST_RECORD: usize = 1024 * 1024;

/// `bytes` as JSON. Total: bounded in depth, in size by the caller.
///
/// # Errors
/// It is not JSON, or not such as can be recorded and sent on.
pub(crate) fn json(bytes: &[u8]) -> Result<Value, PoisonDiagnosis> {
    Ok(json::read(bytes)?)
}

/// The same, of an envelope around what is recorded: its own level is not counted.
///
/// # Errors
/// As [`json`].
pub(crate) fn envelope(bytes: &[u8]) -> Result<Value, PoisonDiagnosis> {
    Ok(json::read_envelope(bytes)?)
}

/// `text` unless it contains NUL.
///
/// # Errors
/// It does; `what` names it.
pub(crate) fn without_nul<'a>(text: &'a str, what: &str) -> Result<&'a str, PoisonDiagnosis> {
    if text.contains('\0') {
        return Err(PoisonDiagnosis::new(PoisonCode::Nul, format!("{what} contains NUL")));
    }
    Ok(text)
}

/// The text of the header `name`; `Ok(None)`: the record has no such header.
///
/// # Errors
/// It is there and cannot be read: it has no value, is not UTF-8, contains NUL, or occurs with different values. To
/// take that for absent would be a guess.
pub(crate) fn header<'a>(record: &'a KafkaRecord, name: &str) -> Result<Option<&'a str>, PoisonDiagnosis> {
    let unreadable = |why: &str| PoisonDiagnosis::new(PoisonCode::Header, format!("{name} {why}"));
    let mut said = None;
    for (_, value) in record.headers.iter().filter(|(other, _)| other == name) {
        let bytes = value.as_deref().ok_or_else(|| unreadable("has no value"))?;
        let text = std::str::from_utf8(bytes).map_err(|_| unreadable("is not text"))?;
        if said.is_some_and(|before| before != text) {
            return Err(unreadable("occurs with different values"));
        }
        said = Some(without_nul(text, name)?);
    }
    Ok(said)
}

/// Bytes as text, where they are text that can be stored: UTF-8 without NUL. Binary keys and headers are none.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_has_a_code_of_its_own() {
        let deep = format!("{}{}", "[".repeat(121), "]".repeat(121));
        let long = "9".repeat(10_000);
        for (text, code) in [
            ("{", PoisonCode::NotJson),
            ("\"\\u0000\"", PoisonCode::Nul),
            (&*deep, PoisonCode::Depth),
            (&*long, PoisonCode::Number),
            (r#"{"a":1,"b":{"a":2,"c":3,"c":3}}"#, PoisonCode::RepeatedName),
            (r#"{"a":1,"\u0061":2}"#, PoisonCode::RepeatedName),
            (r#"{"$serde_json::private::Number":"1"}"#, PoisonCode::ReservedName),
        ] {
            assert_eq!(json(text.as_bytes()).expect_err("poison").code, code);
        }
        let found = json(deep.as_bytes()).expect_err("poison").message;
        assert_eq!(found, "nested 121 levels deep, at most 64 are taken");
    }

    #[test]
    fn an_envelope_does_not_count() {
        let data = format!("{}{}", "[".repeat(64), "]".repeat(64));
        assert!(json(data.as_bytes()).is_ok());
        let enveloped = format!("{{\"data\":{data}}}");
        assert!(json(enveloped.as_bytes()).is_err() && envelope(enveloped.as_bytes()).is_ok());
    }
}
