//! The values of `${ env.NAME }` and `${ file.PATH }` in participants.yaml.

/// The largest file for a variable: secrets are short, and a wrong path must not fill the memory.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The value of the environment variable `name`; for `file.PATH` the content of that file without the line break at its
/// end. `None`: there is none, or it cannot be read.
#[must_use]
pub(crate) fn lookup(name: &str) -> Option<String> {
    match name.strip_prefix("file.") {
        Some(path) => of_file(path),
        None => std::env::var(name).ok(),
    }
}

fn of_file(path: &str) -> Option<String> {
    let size_bytes = std::fs::metadata(path).ok()?.len();
    if size_bytes > MAX_FILE_BYTES {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stands_for_a_secret_that_is_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cret\n").expect("written");
        assert_eq!(lookup(&format!("file.{}", path.display())).as_deref(), Some("s3cret"));
        assert_eq!(lookup(&format!("file.{}/nothing", folder.path().display())), None);
        std::fs::write(&path, vec![b'x'; 70_000]).expect("written");
        assert_eq!(lookup(&format!("file.{}", path.display())), None);
    }
}
