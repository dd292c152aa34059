//! Operators who act on sagas that are under way.

use super::trial::Trial;
use anyhow::{Context, Result, ensure};
use saga_tests::pace::EndPace;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// What is done, in turns.
const ACTS: [&str; 4] = ["cancel", "abandon", "retry", "skip"];
/// For the answer to one.
const PATIENCE: Duration = Duration::from_millis(500);
/// Looks at what is under way, in a second.
const LOOKS: u32 = 10;

impl Trial {
    /// For a while each saga that is seen under way is acted on, once.
    pub(crate) async fn operators_act(&mut self) -> Result<()> {
        let (mut pace, end) = (EndPace::new(LOOKS, self.broken), Instant::now() + self.broken);
        // Turns that were missed come all the same: an act may take its time.
        while pace.turn().await.is_some() && Instant::now() < end {
            for saga in self.under_way().await? {
                self.act(&saga).await?;
            }
        }
        ensure!(!self.acted.is_empty(), "no saga was seen under way");
        Ok(())
    }

    async fn under_way(&self) -> Result<Vec<Value>> {
        let path = "/api/sagas?status=running,waiting,compensating&limit=10";
        // An engine that was just started does not answer yet.
        for engine in &self.engines {
            let Ok((status, body)) = engine.api().get(path).await else { continue };
            ensure!(status.is_success(), "{status}: {body}");
            return Ok(body["sagas"].as_array().cloned().unwrap_or_default());
        }
        Ok(Vec::new())
    }

    async fn act(&mut self, saga: &Value) -> Result<()> {
        let (id, key) = (text(saga, "id")?, text(saga, "key")?);
        let action = ACTS[self.acted.len() % ACTS.len()];
        if !self.acted.insert(key) {
            return Ok(());
        }
        let body = json!({"who": "ada", "reason": "whatever breaks"});
        let path = format!("/api/sagas/{id}/{action}");
        for engine in &self.engines {
            let posted = engine.api().post(&path, &body);
            // Nobody waits for an act that another engine refuses; it is done or not all the same.
            let Ok(answered) = timeout(PATIENCE, posted).await else { break };
            let Ok((status, answer)) = answered else { continue };
            // What has ended meanwhile, or cannot be skipped, is refused.
            ensure!(status.is_success() || status.is_client_error(), "{action} of {id}: {status}: {answer}");
            break;
        }
        Ok(())
    }
}

fn text(saga: &Value, name: &str) -> Result<String> {
    Ok(saga[name].as_str().with_context(|| format!("a saga has its {name}: {saga}"))?.to_owned())
}
