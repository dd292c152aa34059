//! What a JSON Schema says plainly of a value: the schema, what it refers to, and its `allOf`, together.

use serde_json::Value;
use std::collections::BTreeSet;

/// Most schemas that hold for one value together.
const MAX_PARTS: usize = 64;

/// Keywords that bound from below: a reader's may not be greater.
const LOWER: [&str; 5] = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
/// Keywords that bound from above: a reader's may not be less.
const UPPER: [&str; 5] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];
/// Keywords that a reader has only if the writer has the same.
const EQUAL: [&str; 6] = ["pattern", "format", "multipleOf", "uniqueItems", "propertyNames", "contains"];
/// Keywords that choose between schemas.
const CHOICES: [&str; 7] = ["anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"];

/// The schemas that hold for one value together.
pub(super) struct SchemaParts<'s>(Vec<&'s Value>);

impl<'s> SchemaParts<'s> {
    pub(super) fn of(root: &'s Value, schema: &'s Value) -> SchemaParts<'s> {
        SchemaParts::of_all(root, vec![schema])
    }

    fn of_all(root: &'s Value, mut open: Vec<&'s Value>) -> SchemaParts<'s> {
        let mut found = Vec::new();
        while let Some(schema) = open.pop() {
            if found.len() >= MAX_PARTS {
                break;
            }
            found.push(schema);
            open.extend(schema["$ref"].as_str().and_then(|reference| root.pointer(reference.strip_prefix('#')?)));
            open.extend(schema["allOf"].as_array().into_iter().flatten());
        }
        SchemaParts(found)
    }

    fn get(&self, keyword: &'static str) -> impl Iterator<Item = &'s Value> {
        self.0.iter().filter_map(move |schema| schema.get(keyword))
    }

    /// Which schemas these are, by where they stand in memory.
    pub(super) fn places(&self) -> Vec<usize> {
        self.0.iter().map(|schema| std::ptr::from_ref(*schema).addr()).collect()
    }

    /// Whether every value is taken.
    pub(super) fn is_anything(&self) -> bool {
        self.0
            .iter()
            .all(|schema| schema.as_object().is_some_and(serde_json::Map::is_empty) || **schema == Value::Bool(true))
    }

    /// The kinds that `type` allows; `None`: all.
    pub(super) fn kinds(&self) -> Option<Vec<&'s str>> {
        let of = |kinds: &'s Value| match kinds {
            Value::String(kind) => vec![kind.as_str()],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
        };
        let mut said = self.get("type").map(of);
        let first = said.next()?;
        Some(said.fold(first, |kinds, others| kinds.into_iter().filter(|kind| others.contains(kind)).collect()))
    }

    /// The values that `enum` and `const` allow; `None`: all.
    pub(super) fn values(&self) -> Option<Vec<&'s Value>> {
        let constant = self.get("const").next().map(|value| vec![value]);
        constant.or_else(|| self.get("enum").next()?.as_array().map(|values| values.iter().collect()))
    }

    pub(super) fn required(&self) -> BTreeSet<&'s str> {
        self.get("required").filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect()
    }

    pub(super) fn field_names(&self) -> BTreeSet<&'s str> {
        self.get("properties").filter_map(Value::as_object).flat_map(|all| all.keys().map(String::as_str)).collect()
    }

    /// What holds for a field that has a name in the schema.
    pub(super) fn field(&self, root: &'s Value, name: &str) -> Option<SchemaParts<'s>> {
        let all: Vec<&Value> = self.get("properties").filter_map(|all| all.get(name)).collect();
        (!all.is_empty()).then(|| SchemaParts::of_all(root, all))
    }

    pub(super) fn items(&self, root: &'s Value) -> Option<SchemaParts<'s>> {
        let all: Vec<&Value> = self.get("items").collect();
        (!all.is_empty()).then(|| SchemaParts::of_all(root, all))
    }

    /// Whether fields without a name in the schema are refused.
    pub(super) fn is_closed(&self) -> bool {
        self.get("additionalProperties").any(|others| *others == Value::Bool(false))
    }

    pub(super) fn has_patterns(&self) -> bool {
        self.get("patternProperties").next().is_some()
    }

    /// What chooses between schemas, in one value that can be compared.
    pub(super) fn choices(&self) -> Vec<(&'static str, Vec<&'s Value>)> {
        CHOICES.map(|keyword| (keyword, self.get(keyword).collect())).into_iter().collect()
    }

    /// Keywords by which this reader takes less than the writer gives, each with what it is.
    pub(super) fn narrowed(&self, written: &SchemaParts<'s>) -> Vec<(&'static str, String)> {
        let lower = LOWER.into_iter().filter_map(|keyword| {
            let wanted = self.bound(keyword, f64::max)?;
            let given = written.bound(keyword, f64::max);
            (given.is_none_or(|given| given < wanted)).then(|| (keyword, told(wanted, given)))
        });
        let upper = UPPER.into_iter().filter_map(|keyword| {
            let wanted = self.bound(keyword, f64::min)?;
            let given = written.bound(keyword, f64::min);
            (given.is_none_or(|given| given > wanted)).then(|| (keyword, told(wanted, given)))
        });
        let equal = EQUAL.into_iter().filter_map(|keyword| {
            let wanted: Vec<&Value> = self.get(keyword).collect();
            let is_same = wanted.is_empty() || written.get(keyword).collect::<Vec<_>>() == wanted;
            (!is_same).then(|| (keyword, "it is read, and not the same is written".to_owned()))
        });
        lower.chain(upper).chain(equal).collect()
    }

    fn bound(&self, keyword: &'static str, stricter: fn(f64, f64) -> f64) -> Option<f64> {
        self.get(keyword).filter_map(Value::as_f64).reduce(stricter)
    }
}

fn told(wanted: f64, given: Option<f64>) -> String {
    match given {
        Some(given) => format!("{given} is written, {wanted} is read"),
        None => format!("no bound is written, {wanted} is read"),
    }
}
