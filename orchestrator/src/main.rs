//! The binary `saga`.

use clap::Parser;
use saga_orchestrator::cli::{self, CliArgs};
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(CliArgs::parse())
}
