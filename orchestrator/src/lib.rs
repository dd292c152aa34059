//! The saga orchestrator: consumes domain events, runs sagas, records every fact, undoes what cannot finish.
//!
//! Read in this order: `config`, `startup`, `running` and `shutdown`, `api`, `cli`. `verify` checks participants
//! against the contract, `dev` and `bench` run an engine in this process.

pub mod api;
pub mod bench;
pub mod cli;
pub mod config;
pub mod dev;
pub mod readiness;
pub mod running;
mod shell;
pub mod shutdown;
mod source_files;
pub mod startup;
pub mod telemetry;
pub mod verify;
pub mod visible;
