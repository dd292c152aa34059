//! The cases, by what they are about. Each gets a place of its own.

pub(crate) mod appends;
pub(crate) mod attendance;
pub(crate) mod cancelling;
pub(crate) mod damage;
pub(crate) mod documents;
pub(crate) mod feed;
pub(crate) mod fencing;
pub(crate) mod file;
pub(crate) mod forgetting;
pub(crate) mod keys;
pub(crate) mod late_commits;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod notes;
pub(crate) mod opening;
pub(crate) mod partitions;
pub(crate) mod poolers;
pub(crate) mod projections;
pub(crate) mod read_model;
pub(crate) mod recovery;
pub(crate) mod scanning;
pub(crate) mod sealing;
pub(crate) mod server;
pub(crate) mod silence;
pub(crate) mod snapshots;
pub(crate) mod step_back;
