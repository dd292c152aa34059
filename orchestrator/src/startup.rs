//! `startup`
