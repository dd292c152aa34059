//! Where expressions stand: collected while a file is read, proved when its graph is known.

use super::diagnostic::{Report, Span};
use crate::expression::Expression;

/// An expression and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) expression: Expression,
    /// Of the scalar that holds it.
    pub(crate) span: Span,
    /// That scalar, as it is read.
    pub(crate) scalar: String,
    pub(crate) at: At,
}

/// What an expression is for, and what that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) place: Place,
    pub(crate) takes: Takes,
}

/// Which values a place takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Any JSON value.
    Anything,
    /// True or false.
    Truth,
    /// A part of a text: a string, a number or a boolean.
    Text,
    /// A part of a path: the same, and not empty.
    Path,
    /// A key: the same, and not empty.
    Key,
    /// A value of a query: what is null is left out of it.
    Query(Asked),
}

/// What a query is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// `GET`: without one of its values it may find more.
    Read,
    /// `DELETE`, and any undo: without one of its values it takes away more, or nothing.
    Remove,
}

/// Where an expression stands, and so what it sees. Steps by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
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

impl Place {
    /// Where any value is taken.
    pub(crate) fn anything(self) -> At {
        At { place: self, takes: Takes::Anything }
    }
}

impl At {
    pub(crate) fn taking(self, takes: Takes) -> At {
        At { takes, ..self }
    }
}

/// All expressions of a definition.
#[derive(Debug, Default)]
pub(crate) struct Uses(Vec<Use>);

impl Uses {
    pub(crate) fn add(&mut self, expression: &Expression, span: Span, scalar: &str, at: At) {
        self.0.push(Use { expression: expression.clone(), span, scalar: scalar.to_owned(), at });
    }

    pub(crate) fn add_all<'a>(
        &mut self,
        all: impl IntoIterator<Item = &'a Expression>,
        span: Span,
        scalar: &str,
        at: At,
    ) {
        all.into_iter().for_each(|expression| self.add(expression, span, scalar, at));
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Use> {
        self.0.iter()
    }
}

/// A file while it is read.
pub(crate) struct Reading {
    pub(crate) report: Report,
    pub(crate) uses: Uses,
}

impl Reading {
    pub(crate) fn new(file: &str, text: &str) -> Reading {
        Reading { report: Report::new(file, text), uses: Uses::default() }
    }
}
