//! The saga orchestrator: consumes domain events, runs sagas, records every fact, undoes what cannot finish.
//!
//! Read in this order: `config`, `startup`, `running` and `shutdown`, `api`, `cli`. `verify` checks participants
//! against the contract, `dev` and `bench` run an engine in this process.

mod api;
mod bench;
pub mod cli;
mod config;
mod dead_letters;
mod dev;
mod login;
mod readiness;
mod running;
mod shell;
mod shutdown;
mod source_files;
mod start_profile;
mod startup;
mod telemetry;
mod time_range;
mod verify;
mod visible;
