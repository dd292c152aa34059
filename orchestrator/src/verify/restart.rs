//! Restarts the participant, to test what it remembers.

use std::{io::Write, process::Stdio, time::Duration};
use tokio::process::Command;

/// Maximum wait for the command, or for the user to press Enter.
const LONGEST: Duration = Duration::from_secs(300);

/// How to restart the participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RestartMethod {
    /// By a shell command.
    Command(String),
    /// By the user of this command.
    ByHand,
}

impl RestartMethod {
    /// Restarts the participant. Afterwards the participant may still need some time until it answers.
    pub(super) async fn perform(&self) -> Result<(), String> {
        let performed = match self {
            RestartMethod::Command(line) => tokio::time::timeout(LONGEST, by_command(line)).await,
            RestartMethod::ByHand => tokio::time::timeout(LONGEST, by_hand()).await,
        };
        performed.unwrap_or_else(|_| Err(format!("it was not restarted within {LONGEST:?}")))
    }
}

/// The stdout of the command is dropped: our stdout has only findings.
async fn by_command(line: &str) -> Result<(), String> {
    let mut command = Command::new("sh");
    command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let status = command.status().await.map_err(|error| format!("`{line}` cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` ended with {status}")) }
}

async fn by_hand() -> Result<(), String> {
    // If stderr is closed, the time limit ends the wait.
    drop(writeln!(std::io::stderr(), "Restart the participant now, then press Enter."));
    let read = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await;
    match read {
        Ok(Ok(0)) => Err("stdin is closed, so Enter cannot be pressed: use --restart COMMAND instead".to_owned()),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("stdin: {error}")),
        Err(error) => Err(error.to_string()),
    }
}
