//! The saga orchestrator: consumes domain events, runs sagas, records every fact, undoes what cannot finish.
//!
//! Read in this order: [`config`], [`startup`], [`kafka`] (records in and out), [`journal`] (saga events ↔ stored rows),
//! [`engine`] (one writer per shard), [`guarded`] and [`participants`] (calls), [`api`], [`cli`]. [`verify`] holds participants to the contract.

pub mod api;
pub mod bench;
pub mod cli;
pub mod config;
pub mod dev;
mod shell;
pub mod shutdown;
pub mod startup;
pub mod telemetry;
pub mod verify;
pub mod visible;
