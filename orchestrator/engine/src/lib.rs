//! The engine: one writer per shard, group commit, effects after the commit.
//!
//! ```text
//! kafka ─ intake ─┐                       ┌─ committer ─ event store
//! inbox ─ ownership ─ router ─ shard task ┤
//! calls, operators ┘                      └─ dispatch ─ participants (after the commit)
//! ```
//!
//! Nothing is async while state changes: a shard's task decides, evolves and queues the append without awaiting.

pub mod act_log;
pub mod act_preview;
pub mod act_result;
pub mod act_sender;
mod act_trail;
mod active_config;
mod admission;
pub mod advice;
mod answer_cache;
mod answer_progress;
pub mod answer_watch;
pub mod archiving;
pub mod bulk;
pub mod catalog;
mod committed_state;
mod committer;
mod dead_letter;
mod definition_generations;
mod definition_lookup;
pub mod definition_pauses;
pub mod definition_rollout;
pub mod delivery;
mod dispatch;
mod due;
mod effect_origin;
mod engine;
pub mod events_topic;
pub mod feed;
pub mod idempotency;
mod inbox_intake;
pub mod journal;
mod key_rotation;
mod key_sweep;
mod letter_routes;
mod letter_turns;
pub mod letters;
mod load_permits;
mod message;
pub mod metric_catalogue;
pub mod naming;
pub mod notes;
pub mod observer;
mod operator;
pub mod overrides;
mod ownership;
mod partition_holds;
mod partitions;
mod permit_table;
pub mod projection;
mod query;
pub mod reload;
pub mod replay;
mod reply_classes;
pub mod rerun_sender;
mod retry;
mod router;
mod row;
mod saga_watch;
mod schema_source;
mod schema_waits;
pub mod seeding;
mod send_time;
mod sending;
mod shard;
pub mod skew;
pub mod start_sender;
mod starting;
pub mod step_back;
mod store_health;
pub mod topic_formats;
pub mod traces;
mod trigger_backpressure;
mod trigger_intake;
mod unguarded;

pub use active_config::ActiveConfig;
pub use answer_progress::DeadlinePause;
pub use archiving::ArchiveKeeper;
pub use definition_lookup::{DefinitionLookupError, DefinitionTextError, DefinitionTextRecord};
pub use engine::{EnginePreparation, EngineSettings, SagaEngine};
pub use key_rotation::KeyRotation;
pub use key_sweep::KeySweeper;
pub use letter_routes::LetterRoutes;
pub use letters::OpenLetters;
pub use operator::OperatorHandle;
pub use ownership::ShardOwnership;
pub use partitions::PartitionKeeper;
pub use query::{EngineHealth, QueryHandle};
pub use router::{LagReason, LaggingShard};
pub use saga_watch::SagaWaker;
pub use schema_source::{EncodeRefusal, LocalSchemas, RegistryOutage, SCHEMA_PATIENCE, SchemaSource, SchemaUnanswered};
pub use sending::KafkaOutput;
pub use trigger_intake::{IntakeExit, TriggerIntake};
