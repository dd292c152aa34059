//! One act on many sagas: the command starts a job on an engine and follows the job to its end.

use super::{SagaActRequest, StepSelector, results};
use crate::cli::{output, server::ApiClient};
use anyhow::Context;
use serde_json::{Value, json};
use std::{process::ExitCode, time::Duration};

/// Time between two requests for the state of a job.
const LOOK: Duration = Duration::from_millis(300);
/// How long the job waits for the result of each act, without `--wait`.
const USUAL_WAIT_SECONDS: u64 = 1;

impl SagaActRequest {
    pub(super) async fn perform_on_many(self) -> anyhow::Result<ExitCode> {
        let server = self.args.server.open()?;
        let begun = server.post("/api/jobs", &self.order()).await?;
        let job = begun["job"]["id"].as_str().context("the engine answered without the id of a job")?.to_owned();
        if let Some(archived) = begun["archived"].as_u64() {
            output::note(&format!(
                "{archived} sagas are in archives, and options do not choose among them: name them by ids or keys. \
                 `saga list --archived` lists them"
            ));
        }
        if !self.args.dry_run {
            let again = self.again(&StepSelector::default());
            output::note(&format!(
                "job {job}; Ctrl-C stops it. This command goes on later, and does nothing twice:\n  {again}"
            ));
        }
        let print = |item: &Value| output::next(item, self.args.output, |item| results::item(self.action, item));
        let followed = followed(&server, &format!("/api/jobs/{job}"), print).await;
        let ended =
            followed.with_context(|| format!("job {job} cannot be followed; finished acts keep their effect"))?;
        output::note(&results::summary(self.action, &ended));
        Ok(if results::is_full_success(&ended) { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    /// The body of the request that starts the job.
    pub(super) fn order(&self) -> Value {
        let mut order = self.body_waiting(USUAL_WAIT_SECONDS);
        order["action"] = json!(self.action.as_str());
        if self.args.names.is_empty() {
            order["filter"] = self.args.selection.filter(self.goes_by.as_deref());
        } else {
            order["sagas"] = json!(self.args.names);
            order["saga"] = json!(self.args.selection.saga);
        }
        if let Some(pace) = self.args.pace {
            order["pace"] = json!(pace);
        }
        order
    }
}

/// Follows a job to its end, and returns it as it ended; `each` gets the result of each saga. Ctrl-C stops the job.
pub(in crate::cli) async fn followed(
    server: &ApiClient,
    path: &str,
    mut each: impl FnMut(&Value) -> anyhow::Result<bool>,
) -> anyhow::Result<Value> {
    let mut after = 0;
    let mut is_stopped = false;
    loop {
        let answer = server.get(&format!("{path}?after={after}")).await?;
        for item in answer["items"].as_array().into_iter().flatten() {
            each(item)?;
        }
        after = answer["next"].as_u64().unwrap_or_default();
        if answer["job"]["status"] != "running" {
            return Ok(answer["job"].clone());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c(), if !is_stopped => {
                is_stopped = true;
                server.delete(path).await?;
            }
        }
    }
}
