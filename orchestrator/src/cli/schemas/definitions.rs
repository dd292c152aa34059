//! The definitions whose expressions read events of the schemas that change.

use super::version::{SchemaStage, SchemaVersion};
use crate::{config::DefinitionFolders, startup::DefinitionFiles};
use saga_core::definition::{self, CheckFinding, SourceFile};

/// What the new schemas do to the definitions of a folder that hold with the earlier ones.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn broken(folders: Option<&DefinitionFolders>, stages: &[SchemaStage]) -> anyhow::Result<Vec<CheckFinding>> {
    let (Some(folders), Some((new, earlier))) = (folders, stages.split_last()) else { return Ok(Vec::new()) };
    let DefinitionFiles { sagas, schemas, .. } = DefinitionFiles::of_folders(&folders.sagas, &folders.schemas)?;
    let last = earlier.last().map(|stage| stage.schemas.as_slice()).unwrap_or_default();
    let is_changed = |source: &SourceFile| {
        let changed = new.schemas.iter().chain(last);
        SchemaVersion::of(source.clone())
            .is_ok_and(|known| changed.clone().any(|schema| schema.is_of_the_events_of(&known)))
    };
    let others: Vec<SourceFile> = schemas.into_iter().filter(|source| !is_changed(source)).collect();
    let with = |changed: &[SchemaVersion]| -> Vec<SourceFile> {
        changed.iter().map(|schema| schema.source.clone()).chain(others.iter().cloned()).collect()
    };
    Ok(definition::changed_by(&with(last), &with(&new.schemas), &sagas))
}
