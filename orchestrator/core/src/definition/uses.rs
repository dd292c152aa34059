//! Where expressions stand: collected while a file is read, proved when its graph is known.

use super::diagnostic::{FindingCollector, TextSpan};
use crate::expression::CelExpression;

/// An expression and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct ExpressionUse {
    pub(crate) expression: CelExpression,
    /// The place of the scalar that holds the expression.
    pub(crate) span: TextSpan,
    /// The text of that scalar, as YAML reads it.
    pub(crate) scalar: String,
    pub(crate) at: ExpressionPurpose,
}

/// What an expression is for, and what that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpressionPurpose {
    pub(crate) place: ExpressionPlace,
    pub(crate) takes: AcceptedValues,
}

/// Which values a place takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptedValues {
    /// Any JSON value, `null` included.
    Anything,
    /// A condition: true or false.
    Truth,
    /// A part of a text: a string, a number or a boolean.
    Text,
    /// A part of a path: the same, and not empty.
    Path,
    /// A business key or a record's key: the same as a part of a text, and not empty.
    Key,
    /// A value of a query: what is null is left out of it.
    Query(QueryPurpose),
}

/// What a query is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryPurpose {
    /// `GET`: without one of its values it may find more.
    Read,
    /// `DELETE`, and any undo: without one of its values it takes away more, or nothing.
    Remove,
}

/// Where an expression stands, and so what it sees. Steps by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpressionPlace {
    When,
    Key,
    If(usize),
    /// `with` and the path of a do, `key` of a publish.
    Do(usize),
    Check(usize),
    /// `expression` of a fallback.
    Fallback(usize),
    Undo(usize),
    Output,
}

impl ExpressionPlace {
    /// Where any value is taken.
    pub(crate) fn anything(self) -> ExpressionPurpose {
        ExpressionPurpose { place: self, takes: AcceptedValues::Anything }
    }
}

impl ExpressionPurpose {
    pub(crate) fn taking(self, takes: AcceptedValues) -> ExpressionPurpose {
        ExpressionPurpose { takes, ..self }
    }
}

/// All expressions of a definition.
#[derive(Debug, Default)]
pub(crate) struct ExpressionRegistry(Vec<ExpressionUse>);

impl ExpressionRegistry {
    pub(crate) fn add(&mut self, expression: &CelExpression, span: TextSpan, scalar: &str, at: ExpressionPurpose) {
        self.0.push(ExpressionUse { expression: expression.clone(), span, scalar: scalar.to_owned(), at });
    }

    pub(crate) fn add_all<'a>(
        &mut self,
        all: impl IntoIterator<Item = &'a CelExpression>,
        span: TextSpan,
        scalar: &str,
        at: ExpressionPurpose,
    ) {
        all.into_iter().for_each(|expression| self.add(expression, span, scalar, at));
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, ExpressionUse> {
        self.0.iter()
    }
}

/// A file while it is read.
pub(crate) struct ParseContext {
    pub(crate) report: FindingCollector,
    pub(crate) uses: ExpressionRegistry,
}

impl ParseContext {
    pub(crate) fn new(file: &str, text: &str) -> ParseContext {
        ParseContext { report: FindingCollector::new(file, text), uses: ExpressionRegistry::default() }
    }
}
