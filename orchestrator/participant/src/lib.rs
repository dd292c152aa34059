//! What a service needs to be a good participant of sagas.
//!
//! Read in this order: [`command`] (what is asked), [`answer`] (what is said), [`barrier`] (once per command, in the
//! service's own transaction), [`participant`] (all of it around a [`CommandHandler`]), then the ways in, each behind a
//! feature of its name: `kafka` and `http`.
//!
//! The crate knows nothing of the orchestrator but what `saga-contract` says: headers, command ids and the words of an
//! outcome.

pub mod answer;
pub mod barrier;
pub mod command;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod participant;

pub use answer::ParticipantAnswer;
pub use barrier::{BarrierOutcome, CommandBarrier, PriorOutcome, RefusalRetention};
pub use command::{SagaCommand, SagaCommandId};
pub use participant::{CommandHandler, CommandService, HandlerError, SagaParticipant, UnsettledCommandError};
pub use saga_contract::CommandDirection;
