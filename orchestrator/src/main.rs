//! The binary `saga`.

use clap::Parser;
use saga_orchestrator::cli::{self, Cli};
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
