//! What of a file is shown: the secrets in it are covered, also where the file cannot be parsed.
//!
//! Findings go to a terminal, a log, an API and a stream of events. A file of participants holds credentials, and a
//! slip (a misspelled `authorization`, a wrong indentation) must not be what shows them. So in excerpts of it a value
//! is covered unless its key is known and never secret; and in all texts what stands in a URL for credentials, and what
//! follows `Bearer` and `Basic`.

use std::{borrow::Cow, ops::Range};

/// Keys that are known to the parser and hold secrets, with all that is below them.
const SECRET_KEYS: [&str; 3] = ["authorization", "headers", "tls"];
/// Parts of names that people give to secrets.
const SECRET_WORDS: [&str; 8] = ["auth", "token", "secret", "passw", "credential", "apikey", "api-key", "cookie"];
/// Words of the header `Authorization` after which a secret comes; RFC 9110, section 11.
const SCHEMES: [&str; 4] = ["bearer ", "basic ", "digest ", "negotiate "];

/// The text of a file of participants with its secrets covered, byte for byte as long as before. `is_known` tells the
/// parser's keys.
pub(crate) fn covered(text: &str, is_known: &dyn Fn(&str) -> bool) -> String {
    let mut cover = SecretRedactor { is_known, below: None, covered: Vec::new() };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        cover.line(start, line.trim_end_matches(['\n', '\r']));
        start += line.len();
    }
    let mut ranges = cover.covered;
    ranges.extend(credentials(text));
    with_stars(text, &ranges)
}

/// A text of ours that quotes others, without what stands in a URL for user, password and query, and without what
/// follows `Bearer`, `Basic` and their kin: stars stand for it, as many as it has bytes.
#[must_use]
pub fn without_credentials(text: &str) -> Cow<'_, str> {
    let ranges = credentials(text);
    if ranges.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(with_stars(text, &ranges)) }
}

struct SecretRedactor<'k> {
    is_known: &'k dyn Fn(&str) -> bool,
    /// Indentation of the key below which everything is covered.
    below: Option<usize>,
    covered: Vec<Range<usize>>,
}

/// What a key says of its value.
enum RedactionScope {
    Shown,
    /// As far as a value of one line goes.
    Scalar,
    /// The key's whole value is covered, all of its lines.
    Everything,
}

impl SecretRedactor<'_> {
    fn line(&mut self, start: usize, line: &str) {
        let content = line.trim_start_matches(|sign: char| sign.is_whitespace() || matches!(sign, '-' | '#'));
        let indent = line.len() - content.len();
        if content.is_empty() {
            return;
        }
        if self.below.is_some_and(|below| indent > below) {
            return self.covered.push(start + indent..start + line.len());
        }
        self.below = None;
        let mut rest = indent;
        let mut has_key = false;
        while let Some((key, value)) = next_key(line, rest) {
            has_key = true;
            rest = self.value(start, line, indent, key, value);
        }
        let is_item = line.trim_start().starts_with('-');
        if !has_key && !is_item && content.contains(char::is_alphanumeric) {
            self.covered.push(start + indent..start + line.len());
        }
    }

    /// Covers what follows a key, and tells where the next one may begin.
    fn value(&mut self, start: usize, line: &str, indent: usize, key: &str, value: usize) -> usize {
        let text = line[value..].trim();
        let is_map = text.is_empty() || text.starts_with('{') || text.starts_with('[');
        match self.kind(key) {
            RedactionScope::Shown => value,
            RedactionScope::Scalar if is_map => value,
            RedactionScope::Scalar => {
                let end = end_of_scalar(line, value);
                self.covered.push(start + value..start + end);
                // A block of text belongs to its key as well.
                if text.starts_with(['|', '>', '"', '\'']) {
                    self.below = Some(indent);
                }
                end
            }
            RedactionScope::Everything => {
                self.below = Some(indent);
                self.covered.push(start + value..start + line.len());
                line.len()
            }
        }
    }

    fn kind(&self, key: &str) -> RedactionScope {
        let lower = key.to_ascii_lowercase();
        if SECRET_KEYS.contains(&lower.as_str()) || SECRET_WORDS.iter().any(|word| lower.contains(word)) {
            return RedactionScope::Everything;
        }
        let is_status = key.starts_with(|sign: char| sign.is_ascii_digit());
        if is_status || (self.is_known)(key) { RedactionScope::Shown } else { RedactionScope::Scalar }
    }
}

/// The next key of a line from `from` on, and where its value begins.
fn next_key(line: &str, from: usize) -> Option<(&str, usize)> {
    let mut begin = from;
    for (at, sign) in line[from..].char_indices().map(|(at, sign)| (from + at, sign)) {
        match sign {
            '{' | '}' | '[' | ']' | ',' => begin = at + 1,
            ':' if line[at + 1..].is_empty() || line[at + 1..].starts_with([' ', '\t', '{', '[', '"', '\'']) => {
                return Some((line[begin..at].trim().trim_matches(['"', '\'']), at + 1));
            }
            _ => {}
        }
    }
    None
}

/// Where a value in one line ends: at the end of its quotes, or before what ends it within braces.
fn end_of_scalar(line: &str, value: usize) -> usize {
    let text = &line[value..];
    let blanks = text.len() - text.trim_start().len();
    let quote = text.trim_start().chars().next().filter(|sign| matches!(sign, '"' | '\''));
    let length = match quote {
        Some(quote) => text[blanks + 1..].find(quote).map(|at| blanks + 1 + at + 1),
        None => text.find([',', '}', ']']),
    };
    value + length.unwrap_or(text.len())
}

/// User, password and query of URLs, and what follows the name of an authentication scheme.
fn credentials(text: &str) -> Vec<Range<usize>> {
    text.match_indices("://").flat_map(|(at, found)| of_url(text, at + found.len())).chain(of_schemes(text)).collect()
}

fn of_url(text: &str, start: usize) -> Vec<Range<usize>> {
    let ends = |sign: char| sign.is_whitespace() || matches!(sign, '"' | '\'' | '`' | '<' | '>' | '|');
    let url = &text[start..start + text[start..].find(ends).unwrap_or(text.len() - start)];
    let authority = url.find(['/', '?', '#']).unwrap_or(url.len());
    // A password may contain a slash that its author did not encode.
    let user = url[..authority].rfind('@').or_else(|| url.rfind('@'));
    let query = url.find('?').map(|at| start + at + 1..start + url.len());
    user.map(|at| start..start + at).into_iter().chain(query).filter(|range| !range.is_empty()).collect()
}

fn of_schemes(text: &str) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    SCHEMES.iter().flat_map(|scheme| after(&lower, scheme)).collect()
}

fn after(lower: &str, scheme: &str) -> Vec<Range<usize>> {
    let one = |(at, _): (usize, &str)| {
        let is_word = !lower[..at].ends_with(|sign: char| sign.is_alphanumeric());
        let start = at + scheme.len();
        let length = lower[start..].find(|sign: char| sign.is_whitespace() || "\"'`,}".contains(sign));
        is_word.then(|| start..start + length.unwrap_or(lower.len() - start))
    };
    lower.match_indices(scheme).filter_map(one).filter(|range| !range.is_empty()).collect()
}

/// Stars in place of all that is covered. Names of variables stay, and the words of schemes: they are no secrets, and
/// findings are about them.
fn with_stars(text: &str, ranges: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut stays = vec![false; bytes.len()];
    harmless(text).into_iter().for_each(|range| stays[range].fill(true));
    for byte in ranges.iter().flat_map(|range| range.clone()) {
        if !bytes[byte].is_ascii_whitespace() && !stays[byte] {
            bytes[byte] = b'*';
        }
    }
    String::from_utf8(bytes).expect("whole characters are replaced by ASCII")
}

fn harmless(text: &str) -> Vec<Range<usize>> {
    let variable = |(at, _): (usize, &str)| {
        let length = text[at..].find('}')?;
        (!text[at..at + length].contains('\n')).then(|| at..at + length + 1)
    };
    let lower = text.to_ascii_lowercase();
    let scheme = |scheme: &&str| lower.match_indices(*scheme).map(|(at, word)| at..at + word.len()).collect::<Vec<_>>();
    text.match_indices("${").filter_map(variable).chain(SCHEMES.iter().flat_map(scheme)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let known = ["participants", "http", "url", "timeout", "kind", "retryOn", "description", "path"];
        let shown = covered(text, &|key| known.contains(&key));
        assert_eq!(shown.len(), text.len());
        shown
    }

    #[test]
    fn what_is_or_may_be_a_secret_is_covered() {
        let files = [
            "p:\n  authorization: Bearer CANARY\n",
            "p:\n  authorization: \"CANARY with blanks\"\n",
            "p:\n  authorization:\n    CANARY\n  timeout: 5s\n",
            "p:\n  authorization: >-\n    Bearer\n    CANARY\n",
            "p: {http: {url: http://x}, authorization: CANARY, timeout: 5s}",
            "p:\n  headers: {X-Key: CANARY, Y: CANARY}\n",
            "p:\n  headers:\n    X-Anything: CANARY\n    Z: [CANARY\n",
            "p:\n  Authorisation: CANARY\n",
            "p:\n  \"x-api-key\": 'CANARY'\n",
            "p:\n  pasword: CANARY}\n",
            "p:\n  http:\n    url: https://user:CANARY@host/path\n",
            "p:\n  http: {url: \"https://user:CAN/ARY@host\"}\n",
            "p:\n  url: https://host/x?key=CANARY&b=1\n",
            "  CANARY\n",
            "p:\n\tunknown: CANARY\n",
            "# authorization: CANARY\n",
            "# was: Bearer CANARY\n",
            "p:\n  timeout: Basic CANARY\n",
            "p:\n  ? authorization\n  : CANARY\n",
            "p:\n  unknown: \"CANARY\n   CANARY\"\n",
        ];
        for file in files {
            let shown = shown(file);
            assert!(!shown.contains("CANARY") && !shown.contains("ARY"), "{file}\n{shown}");
        }
    }

    #[test]
    fn what_helps_to_see_the_slip_stays() {
        for file in [
            "participants:\n  payments:\n    http: {url: http://localhost:9001}\n    timeout: 5s\n",
            "participants: {payments: {http: {url: http://localhost}, retryOn: [409, 5xx]}}\n",
            "p:\n  authorization: ${ env.TOKEN }\n",
            "p:\n  authorization: Bearer ${ env.TOKEN }\n",
            "p:\n  retryOn: [409]\n",
            "p:\n  classify: {418: rate_limit}\n",
        ] {
            assert_eq!(shown(file), file);
        }
        let typo = shown("p: {http: {url: http://x, timeot: 5s}}");
        assert_eq!(typo, "p: {http: {url: http://x, timeot:***}}".replace(":***", ": **"));
    }

    #[test]
    fn a_message_is_without_credentials() {
        let told = without_credentials("`http://anna:CANARY@host/x` is not a base URL; `Bearer CANARY` neither");
        assert_eq!(told, "`http://***********@host/x` is not a base URL; `Bearer ******` neither");
        assert!(matches!(without_credentials("write http://host:port"), Cow::Borrowed(_)));
    }
}
