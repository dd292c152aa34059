//! A new version of the definitions, rolled out one engine after the other.

use super::trial::Trial;
use anyhow::{Result, ensure};
use saga_tests::{engine::Engine, kafka::TopicRecord};
use serde_json::json;

/// Events of the new definition, placed while one engine does not know it yet.
const EVENTS: usize = 20;

impl Trial {
    /// The new version has one more definition, whose events come while only one of the two engines knows it.
    pub(crate) async fn roll_out(&mut self) -> Result<()> {
        let version = self.version().another_version()?;
        let name = format!("rollout{}", self.versions.len() + 1);
        let trigger = format!("{{topic: {}, type: {name}, key: \"${{ event.id }}\"}}", self.world.orders);
        version
            .definition(&name, &format!("saga: {name}\ntrigger: {trigger}\nsteps: [{{step: rest, wait: 1ms}}]\n"))?;
        self.versions.push(version);
        self.replace_engine().await?;
        for number in 0..EVENTS {
            let key = format!("{name}-{number}");
            self.world.send(&self.world.orders, &TopicRecord::event(&name, &key, &json!({"id": key}))).await?;
            self.others += 1;
        }
        self.replace_engine().await
    }

    async fn replace_engine(&mut self) -> Result<()> {
        let old = self.engines.remove(0);
        let log = old.log()?;
        let ended = old.terminate().await?;
        ensure!(ended.success(), "the engine ended with {ended}:\n{log}");
        let new = Engine::start(self.version()).await?;
        self.engines.push(new);
        Ok(())
    }
}
