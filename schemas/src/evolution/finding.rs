//! What breaks.

use crate::value_path::ValuePath;
use std::fmt;

/// One place at which a reader does not read what a writer wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvolutionBreak {
    /// Who reads.
    pub direction: ReadDirection,
    /// Which of the earlier schemas, from 0, the oldest first.
    pub against: usize,
    /// Where. A part of a union has the path of the union.
    pub path: ValuePath,
    /// What kind of break it is.
    pub kind: BreakKind,
    /// Whether it can be read at all.
    pub weight: BreakWeight,
    /// What the reader expects, what the writer writes, and what helps.
    pub message: String,
}

/// Who reads what whom wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReadDirection {
    /// The next schema reads what was written by an earlier one.
    Backward,
    /// An earlier schema reads what is written by the next.
    Forward,
}

/// What a break is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BreakKind {
    /// The reader needs a field that the writer does not write, and has no default for it.
    FieldMissing,
    /// The reader refuses a field that the writer may write.
    FieldRefused,
    /// The types are different, and the one is not promoted to the other.
    TypeChanged,
    /// The reader's type has a smaller range than the writer's.
    TypeNarrowed,
    /// The reader's enum lacks a symbol of the writer, and has no default.
    SymbolMissing,
    /// The reader's union lacks a branch of the writer's.
    BranchMissing,
    /// The fixed have different sizes.
    FixedSize,
    /// The names are different, and the reader's has no alias.
    NameChanged,
    /// The decimals have different precisions or scales.
    DecimalChanged,
    /// The bytes are the same, and an expression sees another form.
    FormChanged,
    /// The reader's bound, pattern or number of items is stricter than the writer's.
    ConstraintNarrowed,
    /// The schemas choose, and differ: it cannot be proved.
    NotComparable,
}

/// Whether what was written can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BreakWeight {
    /// It cannot, always or for some values.
    Break,
    /// It can, and means something else to those who read it; or nothing proves that it can.
    Warning,
}

impl BreakKind {
    /// The stable name of the kind, for programs to compare.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            BreakKind::FieldMissing => "field_missing",
            BreakKind::FieldRefused => "field_refused",
            BreakKind::TypeChanged => "type_changed",
            BreakKind::TypeNarrowed => "type_narrowed",
            BreakKind::SymbolMissing => "symbol_missing",
            BreakKind::BranchMissing => "branch_missing",
            BreakKind::FixedSize => "fixed_size",
            BreakKind::NameChanged => "name_changed",
            BreakKind::DecimalChanged => "decimal_changed",
            BreakKind::FormChanged => "form_changed",
            BreakKind::ConstraintNarrowed => "constraint_narrowed",
            BreakKind::NotComparable => "not_comparable",
        }
    }

    /// How heavy a break of this kind is.
    #[must_use]
    pub fn weight(self) -> BreakWeight {
        match self {
            BreakKind::FormChanged | BreakKind::NotComparable => BreakWeight::Warning,
            BreakKind::FieldMissing
            | BreakKind::FieldRefused
            | BreakKind::TypeChanged
            | BreakKind::TypeNarrowed
            | BreakKind::SymbolMissing
            | BreakKind::BranchMissing
            | BreakKind::FixedSize
            | BreakKind::NameChanged
            | BreakKind::DecimalChanged
            | BreakKind::ConstraintNarrowed => BreakWeight::Break,
        }
    }
}

impl ReadDirection {
    /// The stable name of the direction.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ReadDirection::Backward => "backward",
            ReadDirection::Forward => "forward",
        }
    }
}

impl fmt::Display for EvolutionBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {}): {}", self.path, self.direction.as_str(), self.kind.as_str(), self.message)
    }
}

/// A break without what it was compared with.
#[derive(Clone, Debug)]
pub(super) struct PlainBreak {
    pub(super) path: ValuePath,
    pub(super) kind: BreakKind,
    pub(super) message: String,
}

impl PlainBreak {
    pub(super) fn new(path: &ValuePath, kind: BreakKind, message: impl Into<String>) -> PlainBreak {
        PlainBreak { path: path.clone(), kind, message: message.into() }
    }

    pub(super) fn placed(self, direction: ReadDirection, against: usize) -> EvolutionBreak {
        let PlainBreak { path, kind, message } = self;
        EvolutionBreak { direction, against, path, kind, weight: kind.weight(), message }
    }
}
