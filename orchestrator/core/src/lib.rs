//! The saga state machine, pure: no clock, no randomness, no I/O.
//!
//! Read in this order: [`definition`] (what a team writes), [`policy`] (what it resolves to), [`event`] (what is
//! recorded), [`state`] (what the events fold to), [`input`] (what can happen), [`decide`] → [`evolve`] → [`react`],
//! [`replay`] (a journal decided again), [`rerun`] (whether an ended saga can be run again), [`what_if`] (by another
//! definition), and [`describe`] (what people and programs are shown of it). Arrows between modules go one way: no two
//! of them use each other.
//!
//! What this crate does not know: Kafka, HTTP, SQL, threads, time. Time, random numbers and ids are arguments.

pub mod act_author;
pub mod answerable;
pub mod command;
pub mod decide;
pub mod definition;
pub mod describe;
pub mod digest;
pub mod direct_start;
pub mod event;
pub mod evolve;
pub mod expression;
pub mod http_method;
pub mod id;
pub mod incident;
pub mod input;
pub mod json;
pub mod policy;
pub mod react;
pub mod replay;
pub mod rerun;
pub mod snapshot;
pub mod spans;
pub mod state;
pub mod time;
pub mod trace;
pub mod what_if;
pub mod words;
