//! Paths in which `${ }` may stand.

use super::{
    CelExpression, CompileError, EvaluateError, ExpressionScope,
    template::{self, TemplatePiece},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters: a value stays one segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path in which `${ }` may stand, each percent-encoded as one segment.
#[derive(Clone, Debug)]
pub struct PathTemplate {
    pieces: Vec<TemplatePiece>,
}

impl PathTemplate {
    /// Compiles a path without a leading slash.
    ///
    /// # Errors
    /// If a `${ }` does not compile, or the text around it is not a path: empty segments, `..`, a query, spaces.
    pub fn compile(text: &str) -> Result<PathTemplate, CompileError> {
        let pieces = template::pieces(text)?;
        let shape = pieces.iter().map(|piece| match piece {
            TemplatePiece::Text(plain) => plain.as_str(),
            TemplatePiece::Value(_) => "x",
        });
        let shape: String = shape.collect();
        match wrong_path(&shape) {
            None => Ok(PathTemplate { pieces }),
            Some(message) => Err(CompileError { message, help: Some(HELP.into()), offset: 0, length: text.len() }),
        }
    }

    /// Whether both are written alike.
    #[must_use]
    pub fn is_written_like(&self, other: &PathTemplate) -> bool {
        let is_same = |(one, other): (&TemplatePiece, &TemplatePiece)| match (one, other) {
            (TemplatePiece::Text(one), TemplatePiece::Text(other)) => one == other,
            (TemplatePiece::Value(one), TemplatePiece::Value(other)) => one.source() == other.source(),
            (TemplatePiece::Text(_), TemplatePiece::Value(_)) | (TemplatePiece::Value(_), TemplatePiece::Text(_)) => {
                false
            }
        };
        self.pieces.len() == other.pieces.len() && self.pieces.iter().zip(&other.pieces).all(is_same)
    }

    /// The path, percent-encoded.
    ///
    /// # Errors
    /// If an expression has no value, or one that would change the path's shape: an empty one, `.` or `..`.
    pub fn render(&self, scope: &ExpressionScope<'_>) -> Result<String, EvaluateError> {
        let pieces = self.pieces.iter().map(|piece| match piece {
            TemplatePiece::Text(plain) => Ok(plain.clone()),
            TemplatePiece::Value(expression) => encoded(expression, scope),
        });
        let path = pieces.collect::<Result<String, _>>()?;
        match path.split('/').find(|segment| is_no_name(segment)) {
            None => Ok(path),
            Some(segment) => {
                Err(EvaluateError::new(&path, format!("has the segment `{segment}`, which is not a name")))
            }
        }
    }

    /// Every expression in it, in order.
    #[must_use]
    pub fn expressions(&self) -> Vec<&CelExpression> {
        template::values(&self.pieces)
    }
}

fn encoded(expression: &CelExpression, scope: &ExpressionScope<'_>) -> Result<String, EvaluateError> {
    let text = template::scalar_text(expression, scope)?;
    if text.is_empty() {
        return Err(EvaluateError::new(expression.source(), "is empty; a path needs a name there"));
    }
    Ok(utf8_percent_encode(&text, SEGMENT).to_string())
}

const HELP: &str = "write METHOD participant/path/with/${ event.id }; GET and DELETE send `with` as the query";

fn wrong_path(shape: &str) -> Option<String> {
    let strange = shape.chars().find(|sign| !sign.is_ascii_alphanumeric() && !"-._~/%:@!$&'()*+,;=".contains(*sign));
    if let Some(sign) = strange {
        return Some(format!("`{sign}` is not allowed in a path"));
    }
    if let Some(wrong) = wrong_percent(shape) {
        return Some(wrong);
    }
    let segment = shape.split('/').find(|segment| is_no_name(segment));
    segment.map(|segment| format!("the path has the segment `{segment}`"))
}

/// What a server would not take for a name: also what becomes `.` or `..` when it is decoded.
fn is_no_name(segment: &str) -> bool {
    segment.is_empty() || matches!(&*percent_decode_str(segment).collect::<Vec<u8>>(), b"." | b"..")
}

/// A `%` begins two hexadecimal digits, of something that may stand in a path.
fn wrong_percent(path: &str) -> Option<String> {
    let wrong = |(at, _): (usize, &str)| {
        let digits = path.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            None => {
                Some("two hexadecimal digits must follow `%` in a path; write `%25` for the sign itself".to_owned())
            }
            Some(byte) if byte.is_ascii_control() => Some(format!("`%{byte:02X}` is a control character")),
            Some(_) => None,
        }
    };
    path.match_indices('%').find_map(wrong)
}
