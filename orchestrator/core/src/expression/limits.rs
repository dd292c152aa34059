//! Bounds of an expression.

/// Longest source, in bytes. Longer logic belongs into a participant.
pub const MAX_SOURCE_BYTES: usize = 4096;
/// From here on `saga check` warns.
pub const WARN_SOURCE_BYTES: usize = 2048;
/// Deepest nesting of brackets: bounds the parser's recursion before it runs.
pub const MAX_BRACKETS: usize = 32;
/// Most `!` and `-` in a row, and most `? :` in one expression: each is a level of the parser's recursion too.
pub const MAX_OPERATOR_RUN: usize = 32;
/// Deepest syntax tree. Evaluation recurses once per level, and CEL's interpreter takes up to 50 KiB of stack for one.
pub const MAX_DEPTH: usize = 96;
/// Deepest tree that is evaluated on the caller's stack: 600 KiB of the 2 MiB that a worker thread has.
pub const INLINE_DEPTH: usize = 12;
/// Most nodes, macros expanded: bounds the time of one pass over the tree.
pub const MAX_NODES: usize = 4096;
/// Deepest nesting of `map`, `filter`, `all`, `exists`, `exists_one`: two is a join, three is a program.
pub const MAX_COMPREHENSIONS: usize = 2;
/// Most elements that one evaluation may visit: about 0.1 s.
pub const MAX_ITERATIONS: u32 = 100_000;
