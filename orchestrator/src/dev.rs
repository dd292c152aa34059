//! `dev`
