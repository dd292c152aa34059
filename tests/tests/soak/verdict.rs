//! What must hold when everything is whole again.

use super::trial::Trial;
use anyhow::{Context, Result, ensure};
use saga_tests::{
    oracle::{OracleExemption, count_by_status, ends_were_told, judge, statuses_by_key},
    traffic::{all_end, ended_as_their_kinds_say},
};
use std::time::Duration;
use tokio::time::Instant;

/// To read a topic to its end.
const READ: Duration = Duration::from_secs(60);

impl Trial {
    /// Every saga has ended as its kind says or an operator decided, its end was told, and nothing became a dead
    /// letter.
    pub(crate) async fn judge(&mut self) -> Result<()> {
        let last_fault = Instant::now();
        let (placed, sagas) = (self.figures.placed, self.figures.placed + self.others);
        all_end(&self.world, &self.engines[0], sagas).await?;
        self.figures.settled = self.figures.settled.max(last_fault.elapsed());
        self.figures.by_status = count_by_status(&self.world).await?;
        self.figures.judged += 1;
        self.figures.acted = self.acted.len();
        ended_as_their_kinds_say(&statuses_by_key(&self.world).await?, placed, &self.acted)?;
        judge(&self.world, OracleExemption::default()).await?;
        self.read_outcomes().await?;
        ends_were_told(&self.world, "order", &self.told).await?;
        self.figures.outcomes = self.told.len();
        self.figures.dead_letters = self.world.kafka.count(self.world.installation.dlq()).await?;
        ensure!(self.figures.dead_letters == 0, "nothing here is poison");
        Ok(())
    }

    /// Remembers what the topic of outcomes holds now. One end is told as one thing, however often.
    pub(crate) async fn read_outcomes(&mut self) -> Result<()> {
        let held = usize::try_from(self.world.kafka.count(&self.outcomes).await?)?;
        for event in self.world.kafka.read_until(&self.outcomes, READ, |events| events.len() >= held).await? {
            let id = event.header("ce_id").with_context(|| format!("an event without id: {event:?}"))?.to_owned();
            let status = event.json()["status"].as_str().unwrap_or_default().to_owned();
            let before = self.told.insert(id.clone(), status.clone());
            ensure!(before.as_ref().is_none_or(|before| *before == status), "{id} was {before:?} and is {status}");
        }
        Ok(())
    }
}
