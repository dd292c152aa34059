//! Schemas of events, and what reads and writes bytes by them: the frames of records, Avro, how schemas may change.
//!
//! Pure: nothing here performs I/O. [`framing`] says what a record's value is framed as, [`avro`] reads schemas,
//! [`decode`] and [`encode`] turn Avro into the JSON that expressions see, and back; [`evolution`] compares
//! schemas, and [`embedded`] answers the API of a schema registry from a folder.

pub mod avro;
mod binary;
pub mod decode;
pub mod embedded;
pub mod encode;
pub mod evolution;
pub mod framing;
mod logical;
pub mod value_path;

/// `*.avsc` of this folder: name and text.
pub const DOMAIN_EVENTS: [(&str, &str); 4] = [
    ("order-placed.avsc", include_str!("../order-placed.avsc")),
    ("subscription-requested.avsc", include_str!("../subscription-requested.avsc")),
    ("transfer-ordered.avsc", include_str!("../transfer-ordered.avsc")),
    ("trip-requested.avsc", include_str!("../trip-requested.avsc")),
];
