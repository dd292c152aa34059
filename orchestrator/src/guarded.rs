//! `guarded`
