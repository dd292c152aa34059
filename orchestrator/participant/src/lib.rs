//! What a service needs to be a good participant of sagas.
//!
//! Read in this order: [`command`] (what is asked), [`answer`] (what is said), [`barrier`] (once per command, in the service's own
//! transaction), [`participant`] (all of it around a [`Handler`]), then the
//! ways in, each behind a feature of its name: `kafka` and `http`.
//!
//! The crate knows nothing of the orchestrator but its headers, and depends on none of its packages.

pub mod answer;
pub mod barrier;
pub mod command;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod participant;

pub use answer::Answer;
pub use barrier::{Barrier, Before, Entered, Refusals};
pub use command::{Command, CommandId, Direction};
pub use participant::{Answering, Handler, HandlerError, Participant, Unsettled};
