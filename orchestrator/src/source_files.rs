//! Files of definitions, participants and schemas as texts: which there are in a folder, and which look as if they were
//! meant to be read.

mod unread;
mod variables;

pub(crate) use unread::{definitions_elsewhere, misnamed, misnamed_schemas, unused_schemas};
pub(crate) use variables::lookup;

use anyhow::Context;
use saga_core::definition::{CheckFinding, SourceFile, json_schema::FILE_ENDING};
use std::path::{Path, PathBuf};

/// The files of a folder whose names end with `suffix`, in order.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn paths(folder: &Path, suffix: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("the folder {} cannot be read", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(suffix));
    paths.sort();
    Ok(paths)
}

/// Avro schemas and JSON Schemas of events in a folder, without the schemas of the file formats, which may be beside
/// them.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn schemas(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let is_format = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name == "saga.schema.json" || name == "participants.schema.json")
    };
    let mut all = paths(folder, ".avsc")?;
    all.extend(paths(folder, FILE_ENDING)?.into_iter().filter(|path| !is_format(path)));
    Ok(all)
}

/// Reads one file.
///
/// # Errors
/// When it cannot be read, or is no text.
pub(crate) fn read_source(path: &Path) -> anyhow::Result<SourceFile> {
    read(path)?.map_err(anyhow::Error::new)
}

/// The same, where a file that is no text is a finding beside others.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(path: &Path) -> anyhow::Result<Result<SourceFile, Box<CheckFinding>>> {
    let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(SourceFile::of_bytes(path.display().to_string(), bytes))
}
