//! `schemas …`: schemas of events, in files and in a registry.

mod check;
mod compared;
mod definitions;
mod version;

use clap::Subcommand;
use std::process::ExitCode;

/// Subcommands of `saga schemas`.
#[derive(Debug, Subcommand)]
pub(super) enum SchemasCommand {
    /// Check whether a new schema may follow earlier ones, and whether definitions still hold with it
    Check(check::SchemasCheckArgs),
}

pub(super) async fn run(command: SchemasCommand) -> anyhow::Result<ExitCode> {
    match command {
        SchemasCommand::Check(args) => check::check(&args).await,
    }
}
