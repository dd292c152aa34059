//! `journal`
