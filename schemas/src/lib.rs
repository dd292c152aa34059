//! Schemas of events, and what reads and writes bytes by them: the frames of records, Avro, how schemas may change.

pub mod avro;
mod binary;
pub mod decode;
pub mod encode;
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
