//! react
