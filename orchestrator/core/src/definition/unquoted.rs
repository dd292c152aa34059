//! Where an expression stands unquoted although YAML reads a part of it for itself. The check reports all such places
//! of
//! a file at once: otherwise the author would need one run for each.

use super::diagnostic::TextSpan;
use crate::expression::closed_at;

/// The values of the file that have to be quoted.
pub(crate) fn values(text: &str) -> Vec<TextSpan> {
    let mut scan = UnquotedScanner { text, at: 0, flow: 0, value: 0, begins: true, found: Vec::new() };
    while scan.at < text.len() {
        scan.step();
    }
    scan.found
}

struct UnquotedScanner<'t> {
    text: &'t str,
    at: usize,
    /// Number of `{` and `[` that are open around `at`.
    flow: usize,
    /// Where the value begins that `at` stands in.
    value: usize,
    /// Whether only blanks of that value have been read.
    begins: bool,
    found: Vec<TextSpan>,
}

impl UnquotedScanner<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn step(&mut self) {
        let sign = self.rest().chars().next().unwrap_or('\n');
        let next = self.rest()[sign.len_utf8()..].chars().next().unwrap_or('\n');
        match sign {
            '\n' => self.line_end(),
            '#' if self.text[..self.at].ends_with([' ', '\n']) || self.at == 0 => self.at += self.line_length(),
            '"' | '\'' if self.begins => self.skip_quoted(sign),
            '$' if next == '{' => self.expression(),
            '{' | '[' if self.begins || self.flow > 0 => {
                self.flow += 1;
                self.separator(1);
            }
            '}' | ']' if self.flow > 0 => {
                self.flow -= 1;
                self.at += 1;
            }
            ',' if self.flow > 0 => self.separator(1),
            ':' | '-' if next.is_whitespace() && (sign == ':' || self.begins) => self.separator(1),
            _ => {
                self.begins &= sign.is_whitespace();
                self.at += sign.len_utf8();
            }
        }
    }

    fn separator(&mut self, length: usize) {
        self.at += length;
        self.value = self.at;
        self.begins = true;
    }

    fn line_length(&self) -> usize {
        self.rest().find('\n').unwrap_or(self.rest().len())
    }

    fn line_end(&mut self) {
        let line_start = self.text[..self.at].rfind('\n').map_or(0, |at| at + 1);
        let line = &self.text[line_start..self.at];
        let indent = |line: &str| line.len() - line.trim_start().len();
        let is_block = line.trim_end().trim_end_matches(['+', '-']).ends_with([':', '|', '>'])
            && line.trim_end().trim_end_matches(['+', '-']).ends_with(['|', '>']);
        self.separator(1);
        // What is below `|` and `>` is a text as it stands.
        while is_block && self.at < self.text.len() {
            let length = self.line_length();
            let below = &self.rest()[..length];
            if !below.trim().is_empty() && indent(below) <= indent(line) {
                break;
            }
            self.separator((length + 1).min(self.rest().len()));
        }
    }

    fn skip_quoted(&mut self, quote: char) {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        while at < bytes.len() && bytes[at] != quote as u8 {
            at += if bytes[at] == b'\\' && quote == '"' { 2 } else { 1 };
        }
        self.at = (at + 1).min(self.text.len());
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        self.begins = false;
    }

    fn expression(&mut self) {
        self.begins = false;
        let Some(length) = closed_at(self.rest()) else {
            self.at += 2;
            return;
        };
        let inside = &self.rest()[..length];
        let is_read = self.flow > 0 || inside.contains(": ") || inside.contains(" #") || inside.contains('\n');
        self.at += length;
        if is_read {
            self.end_of_value();
            let start = self.value + (self.text[self.value..].len() - self.text[self.value..].trim_start().len());
            self.found.push(TextSpan { start, end: start + self.text[start..self.at].trim_end().len() });
        }
    }

    /// To the end of the value, over the expressions that it has besides.
    fn end_of_value(&mut self) {
        while self.at < self.text.len() {
            if let Some(length) = self.rest().strip_prefix("${").and_then(|_| closed_at(self.rest())) {
                self.at += length;
                continue;
            }
            let sign = self.rest().chars().next().unwrap_or('\n');
            let ends = sign == '\n' || self.flow > 0 && ",}]".contains(sign) || self.rest().starts_with(" #");
            if ends {
                return;
            }
            self.at += sign.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        values(text).into_iter().map(|span| &text[span.start..span.end]).collect()
    }

    #[test]
    fn each_value_that_yaml_reads_for_itself_is_found_whole() {
        assert_eq!(found("with: {id: ${ a }, other: ${ b }}"), ["${ a }", "${ b }"]);
        assert_eq!(found("undo: DELETE x/${ a ? b : c }/y # gone"), ["DELETE x/${ a ? b : c }/y"]);
        assert_eq!(found("list:\n  - ${ a ? b : c }\n  - x\n  - [${ d }]\n"), ["${ a ? b : c }", "${ d }"]);
        assert_eq!(found("text: it's ${ a #b } and\nmore: {\n  a: ${ c },\n}"), ["it's ${ a #b } and", "${ c }"]);
    }

    #[test]
    fn what_yaml_leaves_alone_is_not() {
        for text in [
            "key: ${ event.id } # {",
            "key: \"${ a ? b : c }\"",
            "with: {id: '${ a }', b: \"it's ${ c ? d : e }\"}",
            "text: |\n  ${ a ? b : c }\n  {${ d }}\nafter: x",
            "# with: {id: ${ a }}",
            "open: ${ a",
        ] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }
}
