//! The definitions of a run: those of a folder, or the built-in ones.

use crate::{config::without_definitions, source_files::paths};
use anyhow::{Context, bail};
use saga_core::definition::or_did_you_mean;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The folder that is used without `--sagas` if it exists.
const USUAL_FOLDER: &str = "./sagas";

/// Where the definitions of a run come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DefinitionSource {
    /// Built into the binary.
    Shipped,
    /// `*.saga.yaml` and participants.yaml of a folder, and schemas of the folder `schemas` beside it.
    Folder(PathBuf),
}

impl fmt::Display for DefinitionSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DefinitionSource::Shipped => f.write_str("the built-in set"),
            DefinitionSource::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}

impl DefinitionSource {
    /// The named folder, else [`USUAL_FOLDER`] if it has definitions, else the built-in ones.
    ///
    /// # Errors
    /// The named folder does not exist, or has no definitions.
    pub(super) fn choose(asked: Option<&Path>) -> anyhow::Result<DefinitionSource> {
        let usual = Path::new(USUAL_FOLDER);
        match asked {
            Some(folder) => match without_definitions(folder) {
                None => Ok(DefinitionSource::Folder(folder.to_owned())),
                Some(why) => bail!("--sagas: {why}{}", guess(folder)),
            },
            None if usual.is_dir() && paths(usual, ".saga.yaml").is_ok_and(|found| !found.is_empty()) => {
                Ok(DefinitionSource::Folder(usual.to_owned()))
            }
            None => Ok(DefinitionSource::Shipped),
        }
    }

    /// The folder of the event schemas of a folder of definitions; `None`: they are built in.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(super) fn schemas(&self) -> anyhow::Result<Option<PathBuf>> {
        let DefinitionSource::Folder(folder) = self else { return Ok(None) };
        let whole = folder.canonicalize().with_context(|| format!("the folder {} cannot be read", folder.display()))?;
        Ok(Some(whole.with_file_name("schemas")))
    }
}

/// A hint with a folder of definitions whose name is similar to the typed one.
fn guess(folder: &Path) -> String {
    let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { return String::new() };
    let beside = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let entries = std::fs::read_dir(beside).into_iter().flatten().filter_map(Result::ok);
    let holding = entries.filter(|entry| without_definitions(&entry.path()).is_none());
    let names: Vec<String> = holding.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    or_did_you_mean(name, names.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_holds_nothing_is_an_error_with_a_guess() {
        let here = tempfile::tempdir().expect("a temporary folder");
        let sagas = here.path().join("claims");
        std::fs::create_dir(&sagas).expect("a folder");
        std::fs::write(sagas.join("a.saga.yaml"), "saga: a").expect("written");
        assert_eq!(
            DefinitionSource::choose(Some(&sagas)).expect("it is there"),
            DefinitionSource::Folder(sagas.clone())
        );
        let error =
            DefinitionSource::choose(Some(&here.path().join("clams"))).expect_err("it is not there").to_string();
        assert!(error.contains("--sagas") && error.contains("did you mean `claims`"), "{error}");
        let error = DefinitionSource::choose(Some(here.path())).expect_err("nothing in it").to_string();
        assert!(error.contains("there is no *.saga.yaml in"), "{error}");
    }
}
