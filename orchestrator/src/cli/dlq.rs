//! `dlq …`: dead letters, over the DLQ topic itself and the table that follows it. Acts go through the API of an
//! engine.

mod acts;
mod bytes_shown;
mod edit;
mod export;
mod import;
mod job;
mod list;
mod naming;
mod reconcile;
mod redrive;
mod show;
mod source;
mod stats;
mod table;
mod timeline;
mod values;

use clap::Subcommand;
use std::process::ExitCode;

/// Subcommands of `saga dlq`.
#[derive(Debug, Subcommand)]
pub(super) enum DlqCommand {
    /// List dead letters, newest first
    List(list::ListLettersArgs),
    /// Show everything about one dead letter: where it came from, its content, what its code means and what to do
    Show(show::ShowLetterArgs),
    /// Count dead letters by cause
    Stats(stats::LetterStatsArgs),
    /// Note that you look at dead letters
    Review(acts::LetterActArgs),
    /// Note that nothing is to be done about dead letters; their records stay in the topic
    Discard(acts::LetterActArgs),
    /// Make dead letters new again that are reviewed or discarded
    Reopen(acts::LetterActArgs),
    /// Keep a record that takes the place of a dead letter's original when it is redriven
    Edit(edit::EditLetterArgs),
    /// Bring the records of dead letters back
    Redrive(redrive::RedriveLettersArgs),
    /// List, show, pause, resume or stop jobs of `saga dlq redrive`
    #[command(subcommand)]
    Job(job::LetterJobCommand),
    /// Print rows of the table as JSON lines or CSV
    Export(export::ExportLettersArgs),
    /// Put back decisions that `saga dlq export` wrote: for a table that was lost or made anew
    Import(import::ImportLettersArgs),
    /// Compare the DLQ topics, the table and the event store, and say what differs; nothing is written
    Reconcile(reconcile::ReconcileLettersArgs),
    /// Remove rows of dead letters that ended; their records stay in the topic
    Purge(acts::PurgeLettersArgs),
}

pub(super) async fn run(command: DlqCommand) -> anyhow::Result<ExitCode> {
    match command {
        DlqCommand::List(args) => list::list(args).await,
        DlqCommand::Show(args) => show::show(args).await,
        DlqCommand::Stats(args) => stats::stats(args).await,
        DlqCommand::Review(args) => acts::act(args, "review").await,
        DlqCommand::Discard(args) => acts::act(args, "discard").await,
        DlqCommand::Reopen(args) => acts::act(args, "reopen").await,
        DlqCommand::Edit(args) => edit::edit(args).await,
        DlqCommand::Redrive(args) => redrive::redrive(args).await,
        DlqCommand::Job(command) => job::run(command).await,
        DlqCommand::Export(args) => export::export(args).await,
        DlqCommand::Import(args) => import::import(args).await,
        DlqCommand::Reconcile(args) => reconcile::reconcile(args).await,
        DlqCommand::Purge(args) => acts::purge(args).await,
    }
}
