//! Restarting the participant, to see what it remembers.

use std::{io::Write, process::Stdio, time::Duration};
use tokio::process::Command;

/// For a command to end, or a person to press Enter.
const LONGEST: Duration = Duration::from_secs(300);

/// How the participant is restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestartMethod {
    /// By a command of the shell.
    Command(String),
    /// By whoever runs this.
    ByHand,
}

impl RestartMethod {
    /// Restarts it, and returns when that is done; the participant may need some time still until it answers.
    pub(super) async fn perform(&self) -> Result<(), String> {
        let performed = match self {
            RestartMethod::Command(line) => tokio::time::timeout(LONGEST, by_command(line)).await,
            RestartMethod::ByHand => tokio::time::timeout(LONGEST, by_hand()).await,
        };
        performed.unwrap_or_else(|_| Err(format!("it was not restarted within {LONGEST:?}")))
    }
}

/// What the command prints on stdout is dropped: only what was found goes there.
async fn by_command(line: &str) -> Result<(), String> {
    let mut command = Command::new("sh");
    command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let status = command.status().await.map_err(|error| format!("`{line}` cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` ended with {status}")) }
}

async fn by_hand() -> Result<(), String> {
    // Whom it reaches nowhere is told by the end of the time.
    drop(writeln!(std::io::stderr(), "Restart the participant now, then press Enter."));
    let read = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await;
    match read {
        Ok(Ok(0)) => Err("nobody pressed Enter: --restart COMMAND does it without a person".to_owned()),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("stdin: {error}")),
        Err(error) => Err(error.to_string()),
    }
}
