//! `participants`
