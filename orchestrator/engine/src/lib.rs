//! The engine: one writer per shard, group commit, effects after the commit.
//!
//! ```text
//! kafka ─ intake ─┐                       ┌─ committer ─ event store
//! inbox ─ ownership ─ router ─ shard task ┤
//! calls, operators ┘                      └─ dispatch ─ participants (after the commit)
//! ```
//!
//! Nothing is async while state changes: a shard's task decides, evolves and queues the append without awaiting.

mod admission;
mod answer_path;
pub mod answer_watch;
mod answers;
pub mod bulk;
pub mod catalog;
mod committed_state;
mod committer;
mod crowd;
pub mod current;
mod dead_letter;
mod definition_generations;
pub mod definition_rollout;
mod departure;
mod dispatch;
mod due;
mod engine;
mod inbox_intake;
pub mod intake;
pub mod journal;
mod key_sweep;
pub mod mending;
mod message;
pub mod notes;
pub mod observer;
pub mod operate;
mod operator;
pub mod overrides;
pub mod ownership;
mod partition_holds;
mod permit_table;
pub mod prospect;
mod query;
pub mod reload;
mod retry;
pub mod router;
mod row;
pub mod seeding;
mod sending;
pub mod sequel;
mod shard;
pub mod skew;
mod starting;
pub mod step_back;
mod store_health;
mod turns;

pub use answer_path::DeadlinePause;
pub use engine::{EnginePreparation, EngineSettings, SagaEngine};
pub use key_sweep::KeySweeper;
pub use operator::OperatorHandle;
pub use query::{EngineHealth, QueryHandle};
pub use sending::KafkaOutput;
