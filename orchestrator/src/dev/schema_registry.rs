//! The schema registry of a run: the schemas of the run over Confluent's API, so that clients with Avro serialisers
//! work against it.

use super::port_choice::PortChoice;
use crate::{
    api::{self, ApiServer},
    startup::LoadedDefinitions,
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use saga_core::definition::SourceFile;
use saga_schemas::embedded::{EmbeddedRegistry, RegistryAnswer};
use std::{net::SocketAddr, sync::Arc};

/// What Confluent's registry says its answers are.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// Answers until it is dropped.
#[derive(Debug)]
pub(super) struct DevRegistry {
    server: ApiServer,
    /// The port of an earlier run, which another process uses now.
    pub(super) instead_of: Option<u16>,
}

impl DevRegistry {
    /// Serves the schemas of the files. Every schema of a trigger is also of the subject of its topic, which is where
    /// clients look for it.
    ///
    /// # Errors
    /// The named port is in use, or no port is free.
    pub(super) async fn open(
        wanted: PortChoice,
        files: &[SourceFile],
        loaded: &LoadedDefinitions,
    ) -> anyhow::Result<DevRegistry> {
        let (listener, instead_of) = wanted.listen("the schema registry", "--registry-port").await?;
        let registry = Arc::new(registry(files, loaded));
        let routes = Router::new().fallback(answer).with_state(registry);
        Ok(DevRegistry { server: api::serve_on(listener, routes)?, instead_of })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address
    }
}

/// A file that is no schema is left out: the start has said so.
fn registry(files: &[SourceFile], loaded: &LoadedDefinitions) -> EmbeddedRegistry {
    let mut registry = crate::startup::embedded_registry(files);
    for plan in &loaded.plans {
        let trigger = &plan.definition.trigger;
        if let Some(event_type) = &trigger.event_type {
            registry.add_subject(&format!("{}-value", trigger.topic), event_type);
        }
    }
    registry
}

async fn answer(State(registry): State<Arc<EmbeddedRegistry>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let RegistryAnswer { status, body } = registry.answer(method.as_str(), path, &body);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::startup::{DefinitionFiles, load_files};
    use saga_core::definition::SourceFile;
    use saga_registry::{RegistryCredentials, RegistryError, RegistrySettings, SchemaKey, SchemaRegistry};
    use saga_schemas::{avro::AvroSchema, evolution::CompatibilityRule};

    const SAGA: &str = "saga: order
trigger: {topic: shop.orders, type: OrderPlaced, key: \"${ event.orderId }\"}
steps:
  - {step: rest, wait: 1s}
";

    async fn opened() -> (DevRegistry, SchemaRegistry) {
        let schemas: Vec<SourceFile> =
            saga_schemas::DOMAIN_EVENTS.iter().map(|(name, text)| SourceFile::new(*name, *text)).collect();
        let files = DefinitionFiles {
            sagas: vec![SourceFile::new("order.saga.yaml", SAGA)],
            schemas: schemas.clone(),
            ..DefinitionFiles::default()
        };
        let loaded = load_files(&files, &|_| None).expect("it holds");
        let registry = DevRegistry::open(PortChoice::Free, &schemas, &loaded).await.expect("a port");
        let address = format!("http://{}", registry.address());
        let settings = RegistrySettings::new(&[&address], RegistryCredentials::None).expect("an address");
        (registry, SchemaRegistry::open(&settings).expect("a client"))
    }

    #[tokio::test]
    async fn a_client_finds_the_schema_of_a_topic() {
        let (_registry, client) = opened().await;
        let text = saga_schemas::DOMAIN_EVENTS[0].1;
        client.ping().await.expect("it answers");
        let id = client.register("shop.orders-value", text, &[]).await.expect("what is there is registered");
        assert_eq!(client.look_up("shop.orders-value", text, &[]).await, Ok(id));
        let latest = client.version("shop.orders-value", None).await.expect("the subject of the topic");
        let schema = client.schema(SchemaKey::Id(id)).await.expect("the schema");
        assert_eq!((latest.id, latest.version, &latest.schema), (id, 1, &schema));
        assert_eq!(schema, AvroSchema::parse(text).expect("a schema"));
        assert_eq!(client.rule("shop.orders-value").await, Ok(CompatibilityRule::Backward));
    }

    #[tokio::test]
    async fn what_is_in_no_file_is_not_registered() {
        let (_registry, client) = opened().await;
        let refused =
            client.register("shop.orders-value", r#"{"type": "record", "name": "A", "fields": []}"#, &[]).await;
        let Err(RegistryError::Refused { reason, .. }) = refused else { panic!("refused: {refused:?}") };
        assert!(reason.contains("folder of schemas"), "{reason}");
        let unknown = client.schema(SchemaKey::Id(7)).await;
        assert!(matches!(unknown, Err(RegistryError::Unknown { .. })), "{unknown:?}");
    }
}
