//! What Prometheus's own tool finds in a scrape.

use anyhow::{Context, Result};
use std::process::Stdio;
use tokio::{io::AsyncWriteExt, process::Command};

/// Names that others have made: Resilience4j's, so that its dashboards work.
const FOREIGN: &str = "resilience4j_";

/// What `promtool check metrics` says of `scrape`, but for names that are not of this project. Empty without promtool:
/// then it says on stderr that nothing was checked.
///
/// # Errors
/// When promtool cannot be run.
pub async fn findings(scrape: &str) -> Result<Vec<String>> {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = match command.spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("NOT CHECKED: names of metrics, because promtool is not installed");
            return Ok(Vec::new());
        }
        spawned => spawned.context("cannot run promtool")?,
    };
    tool.stdin.take().context("its input is a pipe")?.write_all(scrape.as_bytes()).await?;
    let output = tool.wait_with_output().await?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(said.lines().filter(|line| !line.is_empty() && !line.starts_with(FOREIGN)).map(str::to_owned).collect())
}
