//! The schemas that records are read by: those of the files, and those of the registry.

use super::LoadedDefinitions;
use crate::config::{EngineConfig, RegistryConfig};
use anyhow::{Context, bail};
use saga_base::clock::EngineClock;
use saga_core::definition::SourceFile;
use saga_engine::{
    LocalSchemas, SchemaSource,
    topic_formats::{AvroFrame, TopicFormats},
};
use saga_registry::SchemaRegistry;
use saga_schemas::embedded::EmbeddedRegistry;
use tracing::{info, warn};

/// The source of schemas for an engine. The registry is not asked yet.
///
/// # Errors
/// When the settings of the registry make no client.
pub(crate) fn source(
    files: &[SourceFile],
    registry: Option<&RegistryConfig>,
    formats: &TopicFormats,
) -> anyhow::Result<SchemaSource> {
    let local = LocalSchemas::new(&embedded_registry(files));
    let registry = registry.map(|RegistryConfig { name, settings }| {
        info!(registry = name, "records in Avro are read and written by the schemas of the registry");
        Ok::<_, anyhow::Error>((name.clone(), SchemaRegistry::open(settings)?))
    });
    let registry = registry.transpose().context("the schema registry cannot be used (key `schemaRegistry`)")?;
    Ok(SchemaSource::new(local, registry, formats.clone(), EngineClock::Wall))
}

/// What is written in the frame of a registry needs one.
///
/// # Errors
/// None is configured, and a topic that is written is in this format.
pub(super) fn require_registry(config: &EngineConfig, loaded: &LoadedDefinitions) -> anyhow::Result<()> {
    if config.schema_registry.is_some() {
        return Ok(());
    }
    let needs = |topic: &String| config.formats.avro(topic).is_some_and(|avro| avro.frame == AvroFrame::Registry);
    if let Some(topic) = loaded.written_topics().into_iter().find(needs) {
        bail!(
            "the topic {topic} is written in Avro by the schemas of a registry (key `topics.formats`): set \
             `schemaRegistry.url`, or write `frame: singleObject` for schemas of the folder `schemas`"
        );
    }
    Ok(())
}

/// The Avro schemas among the files, as a registry. A file that does not fit is left out, and the log says so: the
/// definitions were checked, and records by the other schemas can be read.
pub(crate) fn embedded_registry(files: &[SourceFile]) -> EmbeddedRegistry {
    let mut registry = EmbeddedRegistry::default();
    for file in files.iter().filter(|file| file.name.ends_with(".avsc")) {
        if let Err(error) = registry.add(&file.name, &file.text) {
            warn!(%error, "records by this schema cannot be read");
        }
    }
    registry
}
