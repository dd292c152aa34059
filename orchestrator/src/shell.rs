//! Commands that are printed for operators, who paste them into a shell.

/// `text` so that a shell takes it as one word, whatever it holds.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "._-/:@%+,".contains(sign);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_for_a_shell_is_one_word() {
        assert_eq!(quoted("./.saga-dev/config.yaml"), "./.saga-dev/config.yaml");
        assert_eq!(quoted("a folder"), "'a folder'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
