//! The task that owns the cache: it asks the registry once for each schema, however many wait for it.

use crate::{
    cache::SchemaCache,
    error::RegistryError,
    http::{RegistryHttp, RegistryRequest},
    key::SchemaKey,
    references::schema_in,
};
use arc_swap::ArcSwap;
use reqwest::Method;
use saga_schemas::avro::AvroSchema;
use std::{collections::HashMap, sync::Arc};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

/// Requests for schemas that are under way at once; look-ups beyond them wait in the queue.
const MAX_FETCHES: usize = 16;

/// All kept schemas, for those who only read.
pub(crate) type KnownSchemas = ArcSwap<HashMap<SchemaKey, AvroSchema>>;

type FetchedSchema = Result<AvroSchema, RegistryError>;

/// Somebody waits for a schema.
pub(crate) struct SchemaLookup {
    pub(crate) key: SchemaKey,
    pub(crate) answer: oneshot::Sender<FetchedSchema>,
}

/// Owns the cache. Ends when nobody can ask any more.
pub(crate) struct SchemaKeeper {
    http: Arc<RegistryHttp>,
    cache: SchemaCache,
    known: Arc<KnownSchemas>,
    waiting: HashMap<SchemaKey, Vec<oneshot::Sender<FetchedSchema>>>,
    fetches: JoinSet<(SchemaKey, FetchedSchema)>,
}

impl SchemaKeeper {
    pub(crate) fn new(http: Arc<RegistryHttp>, cache: SchemaCache, known: Arc<KnownSchemas>) -> SchemaKeeper {
        SchemaKeeper { http, cache, known, waiting: HashMap::new(), fetches: JoinSet::new() }
    }

    pub(crate) async fn run(mut self, mut lookups: mpsc::Receiver<SchemaLookup>) {
        let mut is_open = true;
        while is_open || !self.fetches.is_empty() {
            tokio::select! {
                Some(fetched) = self.fetches.join_next() => self.take(fetched),
                lookup = lookups.recv(), if is_open && self.fetches.len() < MAX_FETCHES => match lookup {
                    Some(lookup) => self.look_up(lookup),
                    None => is_open = false,
                },
            }
        }
    }

    fn look_up(&mut self, SchemaLookup { key, answer }: SchemaLookup) {
        if let Some(known) = self.cache.get(&key, Instant::now()) {
            // Who does not wait any more needs no answer.
            return drop(answer.send(known));
        }
        let waiting = self.waiting.entry(key).or_default();
        waiting.push(answer);
        if waiting.len() == 1 {
            let http = Arc::clone(&self.http);
            self.fetches.spawn(async move { (key, fetch(&http, key).await) });
        }
    }

    fn take(&mut self, fetched: Result<(SchemaKey, FetchedSchema), tokio::task::JoinError>) {
        let Ok((key, fetched)) = fetched else {
            // A fetch that panicked: those who wait see that their answer does not come, and ask again.
            tracing::error!("a request to the schema registry ended by a panic");
            return self.waiting.clear();
        };
        self.cache.keep(key, &fetched, Instant::now());
        if fetched.is_ok() {
            self.known.store(Arc::new(self.cache.known().clone()));
        }
        for answer in self.waiting.remove(&key).into_iter().flatten() {
            drop(answer.send(fetched.clone()));
        }
    }
}

async fn fetch(http: &RegistryHttp, key: SchemaKey) -> FetchedSchema {
    let (what, name) = (key.to_string(), key.name());
    let path = match key {
        SchemaKey::Id(_) => ["schemas", "ids", &name],
        SchemaKey::Guid(_) => ["schemas", "guids", &name],
    };
    let request = RegistryRequest { method: Method::GET, path: &path, query: &[], body: None, what: &what };
    let answer = http.ask(&request).await?;
    schema_in(http, &answer, &what).await
}
