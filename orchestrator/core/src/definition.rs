//! Saga definitions: the validated form of one YAML file. Invalid ones cannot be built; [`parse`] is the only way in.

pub mod model;

pub use model::*;
