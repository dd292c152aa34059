//! Where a value stands within another: `items[3].price`.

use std::{fmt, sync::Arc};

/// Most characters of a map's key that are shown.
const SHOWN: usize = 64;

/// One step from a value into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPart {
    /// A field of a record.
    Field(Arc<str>),
    /// An item of an array, from 0.
    Item(usize),
    /// The value of a map's key.
    Key(String),
}

/// Where a value stands within another. Empty: it is the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValuePath(Vec<PathPart>);

impl ValuePath {
    /// The steps, outermost first.
    #[must_use]
    pub fn parts(&self) -> &[PathPart] {
        &self.0
    }

    /// From the steps, innermost first, as they are found while an error goes up.
    pub(crate) fn from_inside(mut parts: Vec<PathPart>) -> ValuePath {
        parts.reverse();
        ValuePath(parts)
    }

    /// The path with one more step.
    #[must_use]
    pub fn and(&self, part: PathPart) -> ValuePath {
        ValuePath([self.0.as_slice(), &[part]].concat())
    }
}

impl fmt::Display for ValuePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the value");
        }
        for (at, part) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            match part {
                PathPart::Field(name) => write!(f, "{dot}{name}")?,
                PathPart::Item(index) => write!(f, "[{index}]")?,
                PathPart::Key(key) if is_plain(key) => write!(f, "{dot}{key}")?,
                PathPart::Key(key) => write!(f, "[{:?}]", key.chars().take(SHOWN).collect::<String>())?,
            }
        }
        Ok(())
    }
}

/// Whether an expression can write the key after a dot.
fn is_plain(key: &str) -> bool {
    let begins = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    begins && key.len() <= SHOWN && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_an_expression_writes_it() {
        let path = ValuePath::default().and(PathPart::Field("items".into())).and(PathPart::Item(3));
        let path = path.and(PathPart::Key("price".into())).and(PathPart::Key("of today".into()));
        assert_eq!(path.to_string(), "items[3].price[\"of today\"]");
        assert_eq!(ValuePath::default().to_string(), "the value");
    }
}
