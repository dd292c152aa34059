//! `engine`
