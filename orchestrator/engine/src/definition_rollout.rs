//! Publishes the definitions of this engine, and follows what other engines publish.
//!
//! An engine publishes the definitions that it has files for when it starts; each other set is a new generation, and
//! the newest counts. Records that an engine had finished before it knew of an added definition are read again for that
//! definition alone: business keys keep a record that is judged twice from starting two sagas.

mod catch_up;
mod follow;
mod publisher;
pub(crate) mod recorded;

pub use follow::{FollowerContext, FollowerTasks, follow};
pub use publisher::{DefinitionPublisher, PublisherContext, PublisherError};
