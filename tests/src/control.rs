//! Stopping and starting a server from inside a test.

use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use tokio::process::Command;

/// What can be done to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerAction {
    /// Starts it; nothing if it runs.
    Start,
    /// Ends it in good order.
    Stop,
    /// Ends it with SIGKILL: what it had not made durable is gone.
    Kill,
    /// Stop, then start.
    Restart,
    /// Stands still as it is: connections stay open, nobody answers.
    Pause,
    /// Goes on after a pause.
    Unpause,
}

impl ServerAction {
    fn word(self) -> &'static str {
        match self {
            ServerAction::Start => "start",
            ServerAction::Stop => "stop",
            ServerAction::Kill => "kill",
            ServerAction::Restart => "restart",
            ServerAction::Pause => "pause",
            ServerAction::Unpause => "unpause",
        }
    }
}

/// A program that takes one of the words `start`, `stop`, `kill`, `restart`, `pause`, `unpause` and returns when that
/// is done.
#[derive(Clone, Debug)]
pub struct ServerControl(PathBuf);

impl ServerControl {
    /// The program that the environment variable `name` names, if any does.
    #[must_use]
    pub fn from_env(name: &str) -> Option<ServerControl> {
        std::env::var_os(name).map(|path| ServerControl(PathBuf::from(path)))
    }

    /// Performs `action` and waits for its end.
    ///
    /// # Errors
    /// When the program cannot be run or reports a failure; the message carries what it printed.
    pub async fn perform(&self, action: ServerAction) -> Result<()> {
        let word = action.word();
        let output = Command::new(&self.0).arg(word).output().await.with_context(|| format!("{}", self.0.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} {word}: {}: {said}", self.0.display(), output.status);
        Ok(())
    }
}
