//! From a source to an expression, within the bounds.

use super::{
    CompileError, EvaluateError, ExpressionScope, arithmetic,
    choice::{self, ConditionalValue},
    evaluate, exact,
    kinds::{self, OperatorMismatch, ValueKind},
    limits,
    nodes::children,
    reads::{self, FunctionCall, NameRead, PathFact},
    scan,
    select::{PathSelection, SelectedValue},
    syntax,
    unfit::{self, UnfitKind, UnfitReport, UnfitRisk},
};
use cel::{
    common::ast::{CallExpr, EntryExpr, Expr, IdedExpr},
    parser::PrattParser,
};
use serde_json::Value;
use std::sync::Arc;

/// A CEL expression, compiled. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CelExpression {
    inner: Arc<CompiledExpression>,
}

#[derive(Debug)]
struct CompiledExpression {
    source: String,
    tree: IdedExpr,
    /// Levels of the tree: evaluation takes stack for each.
    depth: usize,
    /// Set if the expression only selects: its value is passed unchanged and CEL is not asked.
    selection: Option<PathSelection>,
}

impl CelExpression {
    /// Compiles `source`.
    ///
    /// # Errors
    /// If it is empty, not CEL, or beyond one of the [`limits`].
    pub fn compile(source: &str) -> Result<CelExpression, CompileError> {
        check_source(source)?;
        let parser = PrattParser::new().max_expression_node_count(limits::MAX_NODES);
        let mut tree = parser.parse(source).map_err(|errors| syntax::error(source, &errors))?;
        check_tree(source, &tree)?;
        let selection = PathSelection::of(&tree);
        meter(&mut tree);
        let depth = check_tree(source, &tree)?;
        Ok(CelExpression { inner: Arc::new(CompiledExpression { source: source.to_owned(), tree, depth, selection }) })
    }

    /// The source as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    pub(super) fn tree(&self) -> &IdedExpr {
        &self.inner.tree
    }

    /// The value in `scope`.
    ///
    /// # Errors
    /// If a name is absent, types do not fit, or the evaluation would visit too many elements.
    pub fn evaluate(&self, scope: &ExpressionScope<'_>) -> Result<Value, EvaluateError> {
        let error = |message| EvaluateError::new(self.source(), message);
        match &self.inner.selection {
            Some(selection) => selection
                .value(scope)
                .map(SelectedValue::to_value)
                .map_err(|missing| EvaluateError { question: missing.question, ..error(missing.message) }),
            None => evaluate::evaluate(&self.inner.tree, self.inner.depth, scope).map_err(error),
        }
    }

    /// The value of a condition.
    ///
    /// # Errors
    /// As [`CelExpression::evaluate`], and if the value is not a boolean.
    pub fn evaluate_bool(&self, scope: &ExpressionScope<'_>) -> Result<bool, EvaluateError> {
        let value = self.evaluate(scope)?;
        value.as_bool().ok_or_else(|| {
            let found = super::json::kind(&value);
            EvaluateError::new(self.source(), format!("is {found}, a condition has to be true or false"))
        })
    }

    /// Every name it reads, in order, with what is known where it is read.
    #[must_use]
    pub fn reads(&self) -> Vec<NameRead> {
        reads::reads(&self.inner.tree)
    }

    /// What is known wherever it came out as true.
    #[must_use]
    pub fn facts(&self) -> Vec<PathFact> {
        reads::facts(&self.inner.tree, true)
    }

    /// The path that it is, if it only selects.
    pub(crate) fn path(&self) -> Option<Vec<String>> {
        reads::path_of(&self.inner.tree)
    }

    /// The value and the guard of it, where its only other value is a null that is written there.
    pub(crate) fn choice(&self) -> Option<ConditionalValue> {
        choice::of(&self.inner.tree, self.source())
    }

    /// Which values it can have, or meet on the way, that are taken nowhere; `known` holds, and `read` says what a path
    /// can be.
    pub(crate) fn doubts(&self, known: &[PathFact], read: &dyn Fn(&[String]) -> Option<UnfitKind>) -> UnfitReport {
        unfit::doubts(&self.inner.tree, known, read)
    }

    /// What can be at `path` of its value.
    pub(crate) fn doubts_at(
        &self,
        path: &[String],
        known: &[PathFact],
        read: &dyn Fn(&[String]) -> Option<UnfitKind>,
    ) -> Vec<UnfitRisk> {
        unfit::doubts_at(&self.inner.tree, path, known, read)
    }

    /// Of which kinds its value is, where `read` says it of paths; `None`: it may be anything.
    pub(crate) fn kinds(&self, read: &dyn Fn(&[String]) -> Option<Vec<ValueKind>>) -> Option<Vec<ValueKind>> {
        kinds::of(&self.inner.tree, read)
    }

    /// Operators in it that can never have a value.
    pub(crate) fn mismatches(&self, read: &dyn Fn(&[String]) -> Option<Vec<ValueKind>>) -> Vec<OperatorMismatch> {
        kinds::mismatches(&self.inner.tree, read)
    }

    /// Every function it calls, operators and macros left out.
    #[must_use]
    pub fn calls(&self) -> Vec<FunctionCall> {
        reads::calls(&self.inner.tree)
    }

    /// Where `word` stands in the source as a whole name, in bytes.
    #[must_use]
    pub fn offset_of(&self, word: &str) -> Option<usize> {
        scan::find_word(self.source(), word)
    }
}

/// What has to hold before the parser may see the source: it recurses, and a stack that overflows ends the process.
fn check_source(source: &str) -> Result<(), CompileError> {
    if source.trim().is_empty() {
        return Err(CompileError::at(0, source.len(), "the expression is empty", Some("write a CEL expression")));
    }
    if source.len() > limits::MAX_SOURCE_BYTES {
        let message =
            format!("the expression has {} bytes; at most {} are allowed", source.len(), limits::MAX_SOURCE_BYTES);
        return Err(CompileError::at(0, source.len(), message, Some("move the logic into a participant")));
    }
    check_nesting(source)?;
    check_numbers(source)
}

/// A literal is a double, and has to be one exactly: the parser rounds without a word.
fn check_numbers(source: &str) -> Result<(), CompileError> {
    match scan::decimals(source).into_iter().find(|(_, text)| !crate::json::is_exact_double(text)) {
        None => Ok(()),
        Some((offset, text)) => {
            let message = format!("no double is exactly {text}, and expressions compute with doubles");
            Err(CompileError::at(
                offset,
                text.len(),
                message,
                Some("write fewer digits, or compare whole units: cents"),
            ))
        }
    }
}

fn check_nesting(source: &str) -> Result<(), CompileError> {
    let (mut depth, mut run, mut choices) = (0usize, 0usize, 0usize);
    for (offset, byte) in scan::code(source) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'?' => choices += 1,
            _ => {}
        }
        run = match byte {
            b'!' | b'-' => run + 1,
            byte if byte.is_ascii_whitespace() => run,
            _ => 0,
        };
        if depth > limits::MAX_BRACKETS {
            return Err(too_deep(offset, format!("brackets nest deeper than {}", limits::MAX_BRACKETS)));
        }
        if run > limits::MAX_OPERATOR_RUN || choices > limits::MAX_OPERATOR_RUN {
            return Err(too_deep(offset, format!("more than {} operators nest here", limits::MAX_OPERATOR_RUN)));
        }
    }
    Ok(())
}

fn too_deep(offset: usize, message: String) -> CompileError {
    CompileError::at(
        offset,
        1,
        message,
        Some("split the expression over several values, or move the logic into a participant"),
    )
}

/// The depth of the parsed tree, if depth and nesting are within bounds. On an explicit stack: the tree may be deeper
/// than what is allowed.
fn check_tree(source: &str, tree: &IdedExpr) -> Result<usize, CompileError> {
    let mut deepest = 0;
    let mut stack = vec![(tree, 1usize, 0usize)];
    while let Some((node, depth, loops)) = stack.pop() {
        deepest = deepest.max(depth);
        if depth > limits::MAX_DEPTH {
            let message = format!("the expression nests deeper than {} levels", limits::MAX_DEPTH);
            return Err(CompileError { length: source.len(), ..too_deep(0, message) });
        }
        let loops = loops + usize::from(matches!(node.expr, Expr::Comprehension(_)));
        if loops > limits::MAX_COMPREHENSIONS {
            let message =
                format!("`map`, `filter`, `all` and `exists` nest at most {} deep", limits::MAX_COMPREHENSIONS);
            return Err(CompileError { length: source.len(), ..too_deep(0, message) });
        }
        match node.expr {
            Expr::Unspecified => {
                return Err(CompileError::at(
                    0,
                    source.len(),
                    "not a complete CEL expression",
                    syntax::hint(source).as_deref(),
                ));
            }
            Expr::Struct(_) => return Err(no_messages(source)),
            _ => {}
        }
        stack.extend(children(node).into_iter().map(|child| (child, depth + 1, loops)));
    }
    Ok(deepest)
}

fn no_messages(source: &str) -> CompileError {
    CompileError::at(0, source.len(), "there are no message types here", Some("write a map: {\"name\": value}"))
}

/// Puts every range that is iterated through [`evaluate::METER`], which counts its elements: CEL has no budget of its
/// own. And what compares numbers exactly in place of what does not.
fn meter(node: &mut IdedExpr) {
    match &mut node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => {
            exact::replace(call);
            arithmetic::replace(call);
            call.target.as_deref_mut().into_iter().chain(&mut call.args).for_each(meter);
        }
        Expr::Comprehension(all) => {
            let parts =
                [&mut all.iter_range, &mut all.accu_init, &mut all.loop_cond, &mut all.loop_step, &mut all.result];
            parts.into_iter().for_each(meter);
            let range = std::mem::take(&mut all.iter_range);
            let call = CallExpr { func_name: evaluate::METER.to_owned(), target: None, args: vec![range] };
            all.iter_range = IdedExpr { id: 0, expr: Expr::Call(call) };
        }
        Expr::List(list) => list.elements.iter_mut().for_each(meter),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| meter_entry(&mut entry.expr)),
        Expr::Select(select) => meter(&mut select.operand),
        Expr::Struct(new) => new.entries.iter_mut().for_each(|entry| meter_entry(&mut entry.expr)),
    }
}

fn meter_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => meter(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            meter(&mut entry.key);
            meter(&mut entry.value);
        }
    }
}
