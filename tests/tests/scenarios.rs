//! Sagas on a real broker and a real database, with the real binary: what users see when things go well and when they
//! do not.

#[path = "scenarios/avro.rs"]
mod avro;
#[path = "scenarios/bulk.rs"]
mod bulk;
#[path = "scenarios/capabilities.rs"]
mod capabilities;
#[path = "scenarios/damaged.rs"]
mod damaged;
#[path = "scenarios/definitions.rs"]
mod definitions;
#[path = "scenarios/duplicates.rs"]
mod duplicates;
#[path = "scenarios/endpoints.rs"]
mod endpoints;
#[path = "scenarios/fallback.rs"]
mod fallback;
#[path = "scenarios/formats.rs"]
mod formats;
#[path = "scenarios/forward.rs"]
mod forward;
#[path = "scenarios/health.rs"]
mod health;
#[path = "scenarios/mended.rs"]
mod mended;
#[path = "scenarios/operators.rs"]
mod operators;
#[path = "scenarios/outage.rs"]
mod outage;
#[path = "scenarios/parked.rs"]
mod parked;
#[path = "scenarios/payloads.rs"]
mod payloads;
#[path = "scenarios/pivot.rs"]
mod pivot;
#[path = "scenarios/poison.rs"]
mod poison;
#[path = "scenarios/rerun.rs"]
mod rerun;
#[path = "scenarios/standstill.rs"]
mod standstill;
#[path = "scenarios/time.rs"]
mod time;
#[path = "scenarios/topics.rs"]
mod topics;
#[path = "scenarios/undo.rs"]
mod undo;
#[path = "scenarios/unreadable_replies.rs"]
mod unreadable_replies;
