//! The binary `saga`.

use clap::Parser;
use saga_orchestrator::cli::{self, CliArgs};
use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

/// Much of what one thread allocates, another one frees: rows that a connection reads, records that a consumer polls.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    cli::run(CliArgs::parse())
}
