//! In which forms a secret travels.

use super::SHORTEST;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a component of a URL; RFC 3986, section 2.3.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The value as it is, as the inside of a JSON string, percent-encoded and in base64, each once; of one that has lines,
/// these as well. None of a value that is too short.
pub(super) fn of(secret: &str) -> Vec<String> {
    let lines = secret.lines().map(str::trim).filter(|line| *line != secret && !line.starts_with("-----"));
    let mut forms: Vec<String> = std::iter::once(secret).chain(lines).flat_map(of_one).collect();
    forms.retain(|form| form.len() >= SHORTEST);
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn of_one(secret: &str) -> Vec<String> {
    if secret.len() < SHORTEST {
        return Vec::new();
    }
    let quoted = serde_json::Value::from(secret).to_string();
    let json = quoted[1..quoted.len() - 1].to_owned();
    let for_pages = json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    let percent = [COMPONENT, NON_ALPHANUMERIC].map(|set| utf8_percent_encode(secret, set).to_string());
    let form = percent[0].replace("%20", "+");
    let small = percent.clone().map(|text| in_small_digits(&text));
    let base64 = [STANDARD_NO_PAD.encode(secret), URL_SAFE_NO_PAD.encode(secret)];
    let escaped = [json.replace('/', "\\/"), for_pages, form, json];
    std::iter::once(secret.to_owned()).chain(escaped).chain(percent).chain(small).chain(base64).collect()
}

/// The same text with small hexadecimal digits: `%3d` for `%3D`.
fn in_small_digits(encoded: &str) -> String {
    let mut rest = encoded.chars();
    let mut text = String::with_capacity(encoded.len());
    while let Some(sign) = rest.next() {
        text.push(sign);
        if sign == '%' {
            text.extend(rest.by_ref().take(2).map(|digit| digit.to_ascii_lowercase()));
        }
    }
    text
}
