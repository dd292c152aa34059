//! Keeps projections up to date: the engine that owns the first shard applies the feed.
//!
//! Another engine that does the same by mistake does no harm: rows and position change in one transaction, and only
//! from the position that was read.

use super::{
    EventProjection,
    advance::{AdvanceOutcome, ProjectionSource},
    rebuild::{building, take_live},
    shipped,
};
use crate::{journal::JournalAccess, router::ShardRouter};
use metrics::gauge;
use saga_core::id::ShardId;
use saga_event_store::{ProjectionGeneration, StoreError};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::{info, warn};

/// Time between two looks at the feed.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// The engine that owns this shard does the work.
const SHARD: ShardId = ShardId(0);

/// Applies the feed to all projections.
pub(crate) struct ProjectionWorker {
    source: ProjectionSource,
    router: ShardRouter,
}

impl ProjectionWorker {
    pub(crate) fn new(journal: &JournalAccess, router: ShardRouter) -> ProjectionWorker {
        let (store, plans) = (Arc::clone(journal.store()), journal.shared_plans());
        ProjectionWorker { source: ProjectionSource::new(store, plans), router }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            let (began, mut has_more) = (Instant::now(), false);
            if self.router.owns(SHARD) {
                for rules in shipped() {
                    has_more |= self.keep(*rules).await;
                }
            }
            // It rests as long as it has worked: sagas come first, and what is shown says how far it is.
            tokio::time::sleep(if has_more { began.elapsed() } else { LOOK_AGAIN }).await;
        }
    }

    /// Brings one projection forward. True: there is more to do. What goes wrong with one projection hinders no other.
    async fn keep(&mut self, rules: &'static dyn EventProjection) -> bool {
        match self.bring_forward(rules).await {
            Ok(has_more) => has_more,
            Err(error) => {
                warn!(projection = rules.name(), %error, "the projection is not brought forward; next try later");
                false
            }
        }
    }

    async fn bring_forward(&mut self, rules: &'static dyn EventProjection) -> Result<bool, StoreError> {
        let all = self.source.store.projections().await?;
        let live = all.into_iter().find(|it| it.name == rules.name() && it.is_live);
        let is_current = live.as_ref().is_some_and(|it| it.code_version == rules.version());
        gauge!("saga_projection_failed", "projection" => rules.name())
            .set(f64::from(u8::from(live.as_ref().is_some_and(|it| it.problem.is_some()))));
        let mut has_more = false;
        // A live generation of other rules stays as it is until its successor takes its place.
        if is_current && let Some(live) = live.filter(|it| it.problem.is_none()) {
            has_more = self.portion(rules, live).await?.is_none();
        } else if !is_current {
            self.begin(rules).await?;
        }
        if let Some(new) = building(self.source.store.as_ref(), rules).await? {
            match self.portion(rules, new).await? {
                None => has_more = true,
                Some(built) if built.problem.is_none() => self.switch(&built).await,
                Some(_) => {}
            }
        }
        Ok(has_more)
    }

    /// Begins the first generation of these rules; one that has failed is not begun again by itself.
    async fn begin(&self, rules: &dyn EventProjection) -> Result<(), StoreError> {
        let store = &self.source.store;
        let has_failed = |it: &ProjectionGeneration| {
            it.name == rules.name() && it.code_version == rules.version() && it.problem.is_some()
        };
        if store.projections().await?.iter().any(has_failed) {
            return Ok(());
        }
        let oldest = store.feed_extent().await?.oldest;
        store.begin_projection(rules.name(), rules.version(), oldest).await
    }

    /// Applies a portion; `None`: there are more. Else the generation as it is at the end of the feed.
    async fn portion(
        &mut self,
        rules: &dyn EventProjection,
        mut generation: ProjectionGeneration,
    ) -> Result<Option<ProjectionGeneration>, StoreError> {
        match self.source.advance(rules, &mut generation).await {
            Ok(AdvanceOutcome::Moved(_) | AdvanceOutcome::Outdated) => Ok(None),
            Ok(AdvanceOutcome::CaughtUp) => Ok(Some(generation)),
            Err(error) => {
                let number = generation.generation;
                warn!(projection = rules.name(), generation = number, %error, "the projection does not go on; others do");
                Ok(Some(ProjectionGeneration { problem: Some(error.to_string()), ..generation }))
            }
        }
    }

    async fn switch(&self, built: &ProjectionGeneration) {
        match take_live(self.source.store.as_ref(), built).await {
            Ok(()) => info!(projection = built.name, generation = built.generation, "the new generation is live"),
            Err(error) => warn!(projection = built.name, %error, "the new generation is not live yet"),
        }
    }
}
