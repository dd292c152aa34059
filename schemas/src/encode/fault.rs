//! Why a value does not fit a schema.

use super::{MAX_DEPTH, MAX_TRIED};
use crate::value_path::{PathPart, ValuePath};

/// Which part of a value does not fit, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct EncodeError {
    /// Where in the value.
    pub path: ValuePath,
    /// What is wrong there.
    pub fault: EncodeFault,
}

/// What is wrong with a part of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeFault {
    /// It is something else than the schema says; with what was expected and what was found.
    #[error("{0}")]
    Unfit(String),
    /// A field is missing that has no default.
    #[error("the field `{field}` of {record} is missing, and has no default")]
    MissingField {
        /// Name of the field.
        field: String,
        /// Full name of the record.
        record: String,
    },
    /// A field that the record does not have.
    #[error("{record} has no field `{field}`; it has {known}")]
    UnknownField {
        /// Name of the field.
        field: String,
        /// Full name of the record.
        record: String,
        /// The fields that it has.
        known: String,
    },
    /// No branch of the union fits.
    #[error("found {found}, which fits no branch of {branches}")]
    NoBranch {
        /// What was found.
        found: &'static str,
        /// The branches.
        branches: String,
    },
    /// The value nests more deeply than is taken.
    #[error("nested more than {MAX_DEPTH} levels deep")]
    Depth,
    /// Unions within unions leave too many possibilities.
    #[error("more than {MAX_TRIED} values, with those that were tried for several branches of a union")]
    TooManyTried,
}

/// A fault on its way up, which collects the path from the inside.
#[derive(Debug)]
pub(super) struct RisingMisfit(Box<(Vec<PathPart>, EncodeFault)>);

impl RisingMisfit {
    pub(super) fn new(fault: EncodeFault) -> RisingMisfit {
        RisingMisfit(Box::new((Vec::new(), fault)))
    }

    pub(super) fn within(mut self, part: PathPart) -> RisingMisfit {
        self.0.0.push(part);
        self
    }

    /// Whether another branch would not help.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.0.1, EncodeFault::TooManyTried)
    }
}

impl From<String> for RisingMisfit {
    fn from(told: String) -> RisingMisfit {
        RisingMisfit::new(EncodeFault::Unfit(told))
    }
}

impl From<RisingMisfit> for EncodeError {
    fn from(fault: RisingMisfit) -> EncodeError {
        let (parts, fault) = *fault.0;
        EncodeError { path: ValuePath::from_inside(parts), fault }
    }
}
