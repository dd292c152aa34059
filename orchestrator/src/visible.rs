//! Text of strangers made safe for a terminal or a page: characters that control the terminal, or hide or reorder other
//! text, are written out.

use askama::filters::{Escaper, Html as Markup};
use std::{
    borrow::Cow,
    fmt::{self, Write},
    ops::RangeInclusive,
};

/// How the templates of the pages escape: as [`in_line`] does, and then for HTML.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HtmlEscaper;

impl Escaper for HtmlEscaper {
    fn write_escaped_str<W: Write>(&self, dest: W, text: &str) -> fmt::Result {
        Markup.write_escaped_str(dest, &in_line(text))
    }
}

/// The same for what stands in lines of its own, which are kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HtmlLinesEscaper;

impl Escaper for HtmlLinesEscaper {
    fn write_escaped_str<W: Write>(&self, dest: W, text: &str) -> fmt::Result {
        Markup.write_escaped_str(dest, &in_lines(text))
    }
}

/// `text` in one line: line breaks are written out too, so that no text can look like a line of ours.
#[must_use]
pub(crate) fn in_line(text: &str) -> Cow<'_, str> {
    shown(text, is_hidden)
}

/// `text` with its line breaks; all other hidden characters are written out.
#[must_use]
pub(crate) fn in_lines(text: &str) -> Cow<'_, str> {
    shown(text, |sign| sign != '\n' && is_hidden(sign))
}

/// JSON with the same value and no raw hidden character: they only occur in strings, where an escape means the same.
#[must_use]
pub(crate) fn in_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_hidden) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for sign in json.chars() {
        if is_hidden(sign) { unicode(sign, &mut out) } else { out.push(sign) }
    }
    Cow::Owned(out)
}

/// Control characters steer a terminal (C0 and C1); direction marks reorder the text beside them (Unicode TR 36,
/// section 2.10); separators break lines; characters without width make two texts look alike.
const HIDDEN: [RangeInclusive<char>; 10] = [
    '\u{0}'..='\u{1f}',
    '\u{7f}'..='\u{9f}',
    '\u{61c}'..='\u{61c}',
    '\u{200b}'..='\u{200b}',
    '\u{200e}'..='\u{200f}',
    '\u{2028}'..='\u{2029}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{2060}',
    '\u{2066}'..='\u{2069}',
    '\u{feff}'..='\u{feff}',
];

fn is_hidden(sign: char) -> bool {
    HIDDEN.iter().any(|range| range.contains(&sign))
}

/// The same characters as a class of a regular expression of JavaScript, for the scripts of the pages.
#[must_use]
pub(crate) fn class_for_scripts() -> String {
    let range = |range: &RangeInclusive<char>| {
        format!("\\u{{{:x}}}-\\u{{{:x}}}", u32::from(*range.start()), u32::from(*range.end()))
    };
    format!("[{}]", HIDDEN.iter().map(range).collect::<String>())
}

fn shown(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for sign in text.chars() {
        match sign {
            '\n' if hidden(sign) => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            sign if hidden(sign) => unicode(sign, &mut out),
            sign => out.push(sign),
        }
    }
    Cow::Owned(out)
}

fn unicode(sign: char, out: &mut String) {
    write!(out, "\\u{:04x}", u32::from(sign)).expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        let cases = [
            ("\x1b[2J\x1b]0;owned\x07", r"\u001b[2J\u001b]0;owned\u0007"),
            ("a\r\nb\tc\0", r"a\r\nb\tc\u0000"),
            ("\u{9b}31m \u{7f}\u{85}", r"\u009b31m \u007f\u0085"),
            ("ord\u{202e}er\u{2066}\u{200b}\u{2028}\u{feff}", r"ord\u202eer\u2066\u200b\u2028\ufeff"),
        ];
        for (raw, expected) in cases {
            assert_eq!(in_line(raw), expected);
        }
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["order-4711", "größe 😀 日本語 👩\u{200d}🚀", "می\u{200c}خواهم", r"C:\new"] {
            assert!(matches!(in_line(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn lines_stay_lines_only_where_they_are_ours() {
        assert_eq!(in_lines("a\nb\x1b[A"), "a\nb\\u001b[A");
        assert_eq!(in_line("a\nb"), r"a\nb");
    }

    #[test]
    fn a_page_shows_what_is_hidden_and_no_markup() {
        let mut page = String::new();
        HtmlEscaper.write_escaped_str(&mut page, "a\u{202e}b\x07<b>\n").expect("a string");
        assert_eq!(page, r"a\u202eb\u0007&#60;b&#62;\n");
    }

    #[test]
    fn every_control_sign_is_hidden_and_the_scripts_know_the_same() {
        assert!(('\0'..='\u{10ffff}').filter(|sign| sign.is_control()).all(is_hidden));
        let class = class_for_scripts();
        assert!(class.starts_with(r"[\u{0}-\u{1f}\u{7f}-") && class.contains(r"\u{202a}-\u{202e}"), "{class}");
    }

    #[test]
    fn json_says_the_same_and_is_harmless() {
        let value = serde_json::json!({"key\u{9b}": "\x1b[2J\u{202e}\u{7f}"});
        let text = value.to_string();
        let shown = in_json(&text);
        assert!(!shown.contains(is_hidden), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
    }
}
