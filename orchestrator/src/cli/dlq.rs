//! `dlq …`: dead letters, over the DLQ topic itself. Nothing here writes to Kafka.

mod bytes_shown;
mod list;
mod show;
mod source;

use clap::Subcommand;
use std::process::ExitCode;

/// Subcommands of `saga dlq`.
#[derive(Debug, Subcommand)]
pub(super) enum DlqCommand {
    /// List dead letters, newest first
    List(list::ListLettersArgs),
    /// Show everything about one dead letter: where it came from, its content, what its code means and what to do
    Show(show::ShowLetterArgs),
}

pub(super) async fn run(command: DlqCommand) -> anyhow::Result<ExitCode> {
    match command {
        DlqCommand::List(args) => list::list(args).await,
        DlqCommand::Show(args) => show::show(args).await,
    }
}
