//! `kafka`
