//! `cli`
