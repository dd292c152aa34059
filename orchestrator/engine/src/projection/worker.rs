//! Keeps projections up to date: the engine that owns the first shard applies the feed.
//!
//! Another engine that does the same by mistake does no harm: rows and position change in one transaction, and only
//! from the position that was read.

use super::{
    EventProjection,
    advance::{AdvanceError, AdvanceOutcome, BESIDE_SAGAS_ROWS, ProjectionSource},
    archived::{ArchiveFolder, MissingArchives},
    rebuild::{self, RebuildError, building_among, take_live},
    shipped,
};
use crate::{journal::JournalAccess, router::ShardRouter};
use metrics::gauge;
use saga_event_store::{ProjectionGeneration, StoreError};
use std::{
    collections::HashSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::{info, warn};

/// Time between two looks at the feed.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Applies the feed to all projections.
pub(crate) struct ProjectionWorker {
    source: ProjectionSource,
    router: ShardRouter,
    /// Generations that need archives which this engine does not have. As many as there are builds.
    left_to_others: HashSet<(&'static str, i64)>,
}

impl ProjectionWorker {
    /// `folder` is where archives are. A build that this engine begins by itself leaves out those that are not there.
    pub(crate) fn new(journal: &JournalAccess, router: ShardRouter, folder: Option<PathBuf>) -> ProjectionWorker {
        let (store, plans) = (Arc::clone(journal.store()), journal.shared_plans());
        let folder = ArchiveFolder { folder, missing: MissingArchives::LeftOut };
        let source = ProjectionSource::new(store, plans, folder, BESIDE_SAGAS_ROWS);
        ProjectionWorker { source, router, left_to_others: HashSet::new() }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            let (began, mut has_more) = (Instant::now(), false);
            if self.router.owns_first_shard() {
                has_more = self.look().await;
            }
            // It rests as long as it has worked: sagas come first, and what is shown says how far it is.
            tokio::time::sleep(if has_more { began.elapsed() } else { LOOK_AGAIN }).await;
        }
    }

    /// Brings all projections forward. True: there is more to do.
    async fn look(&mut self) -> bool {
        let all = match self.source.store.projections().await {
            Ok(all) => all,
            Err(error) => {
                warn!(%error, "the projections are not brought forward; next try later");
                return false;
            }
        };
        let mut has_more = false;
        for rules in shipped() {
            has_more |= self.keep(*rules, &all).await;
        }
        has_more
    }

    /// Brings one projection forward. True: there is more to do. What goes wrong with one projection hinders no other.
    async fn keep(&mut self, rules: &'static dyn EventProjection, all: &[ProjectionGeneration]) -> bool {
        match self.bring_forward(rules, all).await {
            Ok(has_more) => has_more,
            Err(error) => {
                warn!(projection = rules.name(), %error, "the projection is not brought forward; next try later");
                false
            }
        }
    }

    /// By the generations as they were read for this look: rows are applied only from the position that was read.
    async fn bring_forward(
        &mut self,
        rules: &'static dyn EventProjection,
        all: &[ProjectionGeneration],
    ) -> Result<bool, StoreError> {
        let live = all.iter().find(|it| it.name == rules.name() && it.is_live).cloned();
        let new = building_among(all, rules);
        let is_current = live.as_ref().is_some_and(|it| it.code_version == rules.version());
        gauge!("saga_projection_failed", "projection" => rules.name())
            .set(f64::from(u8::from(live.as_ref().is_some_and(|it| it.problem.is_some()))));
        let mut has_more = false;
        // A live generation of other rules stays as it is until its successor takes its place.
        if is_current && let Some(live) = live.filter(|it| it.problem.is_none()) {
            has_more = self.portion(rules, live).await?.is_none();
        } else if !is_current && new.is_none() {
            has_more = self.begin(rules, all).await?;
        }
        if let Some(new) = new {
            match self.portion(rules, new).await? {
                None => has_more = true,
                Some(built) if built.problem.is_none() => self.switch(&built).await,
                Some(_) => {}
            }
        }
        Ok(has_more)
    }

    /// Begins the first generation of these rules, for the next look; one that has failed is not begun again by itself.
    /// False: none is begun.
    async fn begin(&self, rules: &dyn EventProjection, all: &[ProjectionGeneration]) -> Result<bool, StoreError> {
        let has_failed = |it: &ProjectionGeneration| {
            it.name == rules.name() && it.code_version == rules.version() && it.problem.is_some()
        };
        if all.iter().any(has_failed) {
            return Ok(false);
        }
        match rebuild::begin(self.source.store.as_ref(), rules, &self.source.shelf).await {
            Ok(()) => Ok(true),
            Err(RebuildError::Store(error)) => Err(error),
            Err(error) => {
                warn!(projection = rules.name(), %error, "the projection is not begun; next try later");
                Ok(false)
            }
        }
    }

    /// Applies a portion; `None`: there are more. Else the generation as it is at the end of the feed.
    async fn portion(
        &mut self,
        rules: &'static dyn EventProjection,
        mut generation: ProjectionGeneration,
    ) -> Result<Option<ProjectionGeneration>, StoreError> {
        match self.source.advance(rules, &mut generation).await {
            Ok(AdvanceOutcome::Moved(_) | AdvanceOutcome::Outdated) => Ok(None),
            Ok(AdvanceOutcome::CaughtUp) => Ok(Some(generation)),
            Err(error @ AdvanceError::Archives(_)) => {
                let number = generation.generation;
                if self.left_to_others.insert((rules.name(), number)) {
                    warn!(
                        projection = rules.name(), generation = number, %error,
                        "this engine does not build the projection: who has the files does"
                    );
                }
                Ok(Some(ProjectionGeneration { problem: Some(error.to_string()), ..generation }))
            }
            Err(error @ (AdvanceError::Feed(_) | AdvanceError::Rules(_))) => {
                let number = generation.generation;
                warn!(projection = rules.name(), generation = number, %error, "the projection does not go on; others do");
                Ok(Some(ProjectionGeneration { problem: Some(error.to_string()), ..generation }))
            }
        }
    }

    async fn switch(&mut self, built: &ProjectionGeneration) {
        self.source.shelf.close();
        match take_live(self.source.store.as_ref(), built).await {
            Ok(()) => info!(projection = built.name, generation = built.generation, "the new generation is live"),
            Err(error) => warn!(projection = built.name, %error, "the new generation is not live yet"),
        }
    }
}
