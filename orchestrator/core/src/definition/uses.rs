//! Where expressions stand: collected while a file is read, proved when its graph is known.

use super::diagnostic::{Report, Span};
use crate::expression::Expression;

/// An expression and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) expression: Expression,
    /// Of the scalar that holds it.
    pub(crate) span: Span,
    pub(crate) place: Place,
}

/// What an expression is for, and so what it sees. Steps by position.
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

/// All expressions of a definition.
#[derive(Debug, Default)]
pub(crate) struct Uses(Vec<Use>);

impl Uses {
    pub(crate) fn add(&mut self, expression: &Expression, span: Span, place: Place) {
        self.0.push(Use { expression: expression.clone(), span, place });
    }

    pub(crate) fn add_all<'a>(&mut self, all: impl IntoIterator<Item = &'a Expression>, span: Span, place: Place) {
        all.into_iter().for_each(|expression| self.add(expression, span, place));
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
