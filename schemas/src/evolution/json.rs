//! Whether a reader's JSON Schema takes what is valid by a writer's.

mod parts;

use super::{
    MAX_FINDINGS,
    finding::{BreakKind, PlainBreak},
};
use crate::value_path::{PathPart, ValuePath};
use parts::SchemaParts;
use serde_json::Value;
use std::{collections::HashSet, sync::Arc};

/// Deepest nesting that is compared.
const MAX_LEVELS: usize = 32;

/// Every break.
pub(super) fn breaks(reader: &Value, writer: &Value) -> Vec<PlainBreak> {
    let mut comparison = JsonComparison { reader, writer, seen: HashSet::new(), found: Vec::new() };
    let (wanted, written) = (SchemaParts::of(reader, reader), SchemaParts::of(writer, writer));
    comparison.judge(&ValuePath::default(), &wanted, &written, MAX_LEVELS);
    comparison.found
}

struct JsonComparison<'s> {
    reader: &'s Value,
    writer: &'s Value,
    /// Pairs that were judged, where they come first: schemas refer to themselves.
    seen: HashSet<(Vec<usize>, Vec<usize>)>,
    found: Vec<PlainBreak>,
}

impl<'s> JsonComparison<'s> {
    fn tell(&mut self, path: &ValuePath, kind: BreakKind, message: impl Into<String>) {
        if self.found.len() < MAX_FINDINGS {
            self.found.push(PlainBreak::new(path, kind, message));
        }
    }

    fn judge(&mut self, path: &ValuePath, wanted: &SchemaParts<'s>, written: &SchemaParts<'s>, levels: usize) {
        let Some(levels) = levels.checked_sub(1) else { return };
        let is_judged = !self.seen.insert((wanted.places(), written.places()));
        if is_judged || self.found.len() >= MAX_FINDINGS || wanted.is_anything() {
            return;
        }
        self.judge_kinds(path, wanted, written);
        self.judge_values(path, wanted, written);
        for (keyword, told) in wanted.narrowed(written) {
            self.tell(path, BreakKind::ConstraintNarrowed, format!("`{keyword}`: {told}"));
        }
        if wanted.choices() != written.choices() {
            let told = "the schemas choose between others (anyOf, oneOf, not, if), and differ: nothing is proved here";
            self.tell(path, BreakKind::NotComparable, told);
        }
        self.judge_fields(path, wanted, written, levels);
        if let (Some(wanted), Some(written)) = (wanted.items(self.reader), written.items(self.writer)) {
            self.judge(&path.and(PathPart::Item(0)), &wanted, &written, levels);
        }
    }

    fn judge_kinds(&mut self, path: &ValuePath, wanted: &SchemaParts<'s>, written: &SchemaParts<'s>) {
        let (Some(wanted), written) = (wanted.kinds(), written.kinds()) else { return };
        let Some(written) = written else {
            let told = format!("anything may be written, {} is read", wanted.join(" or "));
            return self.tell(path, BreakKind::TypeNarrowed, told);
        };
        let takes = |kind: &&str| wanted.contains(kind) || (*kind == "integer" && wanted.contains(&"number"));
        let refused: Vec<&str> = written.iter().filter(|kind| !takes(kind)).copied().collect();
        if refused.is_empty() {
            return;
        }
        let is_part = |kind: &&str| takes(kind) || (**kind == *"number" && wanted.contains(&"integer"));
        let some_taken = written.iter().any(is_part);
        let kind = if some_taken { BreakKind::TypeNarrowed } else { BreakKind::TypeChanged };
        self.tell(path, kind, format!("{} is written, {} is read", refused.join(" or "), wanted.join(" or ")));
    }

    fn judge_values(&mut self, path: &ValuePath, wanted: &SchemaParts<'s>, written: &SchemaParts<'s>) {
        let Some(wanted) = wanted.values() else { return };
        let Some(written) = written.values() else {
            return self.tell(
                path,
                BreakKind::SymbolMissing,
                "other values may be written than the `enum` that is read",
            );
        };
        for value in written.into_iter().filter(|value| !wanted.contains(value)) {
            self.tell(
                path,
                BreakKind::SymbolMissing,
                format!("{value} is written, and is not in the `enum` that is read"),
            );
        }
    }

    fn judge_fields(&mut self, path: &ValuePath, wanted: &SchemaParts<'s>, written: &SchemaParts<'s>, levels: usize) {
        for name in wanted.required() {
            if !written.required().contains(&name) {
                let told = format!("`{name}` is required, and need not be written: do not require it");
                self.tell(&field(path, name), BreakKind::FieldMissing, told);
            }
        }
        for name in written.field_names() {
            match wanted.field(self.reader, name) {
                Some(wanted) => {
                    if let Some(written) = written.field(self.writer, name) {
                        self.judge(&field(path, name), &wanted, &written, levels);
                    }
                }
                None if wanted.is_closed() => {
                    let told = format!("`{name}` may be written, and `additionalProperties: false` refuses it");
                    self.tell(&field(path, name), BreakKind::FieldRefused, told);
                }
                None => {}
            }
        }
        if wanted.is_closed() && !written.is_closed() && !wanted.has_patterns() {
            let told = "fields that are not named may be written, and `additionalProperties: false` refuses them";
            self.tell(path, BreakKind::FieldRefused, told);
        }
    }
}

fn field(path: &ValuePath, name: &str) -> ValuePath {
    path.and(PathPart::Field(Arc::from(name)))
}
