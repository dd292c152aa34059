//! Text that somebody may paste into a shell.

/// `text` as a shell takes it for one word, whatever it holds.
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
    fn what_somebody_may_paste_into_a_shell_is_one_word() {
        assert_eq!(quoted("./.saga-dev/config.yaml"), "./.saga-dev/config.yaml");
        assert_eq!(quoted("a folder"), "'a folder'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
