//! What another schema of events does to the definitions that read them, before it is deployed.

use super::{
    SourceFile,
    avro::SchemaCatalog,
    build,
    diagnostic::{CheckFinding, Code, FindingCollector},
    event_schema::EventSchema,
    library::DefinitionLibrary,
    names,
    uses::{ExpressionUse, ParseContext},
};
use std::collections::BTreeSet;

/// What `after` does to definitions that hold with the schemas `before`: an expression reads a field that is no more,
/// or one that it sees in another form. What is wrong with both is not told. `before` and `after` are all schemas of
/// the installation.
///
/// A file among `before` that is no schema proves nothing; one among `after` is a finding.
#[must_use]
pub fn changed_by(before: &[SourceFile], after: &[SourceFile], sagas: &[SourceFile]) -> Vec<CheckFinding> {
    let findings = |schemas: &[SourceFile]| DefinitionLibrary::read(sagas, None, schemas, &|_| None).findings;
    let known: BTreeSet<_> = findings(before).iter().map(place).collect();
    let mut found: Vec<CheckFinding> = findings(after).into_iter().filter(|it| !known.contains(&place(it))).collect();
    let catalog = |schemas: &[SourceFile]| {
        SchemaCatalog::parse(schemas.iter().map(|it| (it.name.as_str(), it.text.as_str()))).unwrap_or_default()
    };
    let (before, after) = (catalog(before), catalog(after));
    found.extend(sagas.iter().flat_map(|saga| retyped(&before, &after, saga)));
    found
}

fn place(finding: &CheckFinding) -> (String, usize, &'static str) {
    (finding.file.clone(), finding.span.start, finding.code.as_str())
}

/// Reads of fields that the expressions of one definition see in another form.
fn retyped(before: &SchemaCatalog, after: &SchemaCatalog, saga: &SourceFile) -> Vec<CheckFinding> {
    let (ParseContext { uses, .. }, event_type) = build::expressions(&saga.name, &saga.text);
    let Some(event_type) = event_type else { return Vec::new() };
    let (Some(old), Some(new)) = (EventSchema::find(before, &event_type), EventSchema::find(after, &event_type)) else {
        return Vec::new();
    };
    // Its own findings are those of a check.
    let mut report = FindingCollector::new(&saga.name, &saga.text);
    uses.iter().for_each(|used| judge(used, &old, &new, &mut report));
    report.into_findings()
}

fn judge(used: &ExpressionUse, old: &EventSchema<'_>, new: &EventSchema<'_>, report: &mut FindingCollector) {
    for read in used.expression.reads().iter().filter(|read| read.path.first().is_some_and(|root| root == "event")) {
        let path = read.path.get(1..).unwrap_or_default();
        let (Some(field), Some(was), Some(is)) = (path.last(), old.forms(path), new.forms(path)) else { continue };
        // Where null is an error, the check of the definition says so.
        let added: Vec<&str> = is.difference(&was).copied().filter(|form| *form != "null").collect();
        if added.is_empty() {
            continue;
        }
        let list = |forms: Vec<&str>| forms.join(" or ");
        let message = format!(
            "`{}` was {}, and becomes {}",
            read.path.join("."),
            list(was.iter().copied().collect()),
            list(is.iter().copied().collect())
        );
        let help = "change the expression with the schema, or add a field of another name and keep this one";
        report.error(Code::RetypedField, names::at(report, used, field), message).help(help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{RenderStyle, render};

    const SAGA: &str = "saga: order
trigger: {topic: shop.orders, type: OrderPlaced, key: \"${ event.orderId }\"}
steps:
  - step: charge
    do: payments.Charge
    with:
      amountCents: ${ event.amountCents }
      city: ${ event.address.city }
      sku: ${ event.items[0].sku }
    irreversible: true
";

    fn avro(fields: &str) -> Vec<SourceFile> {
        let text = format!(r#"{{"type": "record", "name": "OrderPlaced", "namespace": "shop", "fields": [{fields}]}}"#);
        vec![SourceFile::new("order-placed.avsc", text)]
    }

    fn json(properties: &str) -> Vec<SourceFile> {
        let text = format!(
            r#"{{"type": "object", "additionalProperties": false, "required": ["orderId", "amountCents",
            "address", "items"], "properties": {{{properties}}}}}"#
        );
        vec![SourceFile::new("OrderPlaced.schema.json", text)]
    }

    fn order(amount: &str, address: &str) -> String {
        format!(
            r#"{{"name": "orderId", "type": "string"}}, {{"name": "amountCents", "type": {amount}}},
            {{"name": "address", "type": {{"type": "record", "name": "Address", "fields": [{address}]}}}},
            {{"name": "items", "type": {{"type": "array", "items": {{"type": "record", "name": "Line", "fields": [
                {{"name": "sku", "type": "string"}}]}}}}}}"#
        )
    }

    fn told(before: &[SourceFile], after: &[SourceFile]) -> Vec<String> {
        let findings = changed_by(before, after, &[SourceFile::new("order.saga.yaml", SAGA)]);
        assert!(findings.iter().all(|it| it.help.is_some()), "{}", render(&findings, RenderStyle::Plain));
        findings.iter().map(ToString::to_string).collect()
    }

    const CITY: &str = r#"{"name": "city", "type": "string"}"#;

    #[test]
    fn a_field_that_is_read_and_goes_is_told_where_it_is_read() {
        let before = avro(&order("\"long\"", CITY));
        assert_eq!(told(&before, &before), Vec::<String>::new());
        let gone = avro(&order("\"long\"", r#"{"name": "town", "type": "string"}"#));
        let expected = "order.saga.yaml:8:30: by its schema `event.address` has no field `city` [unknown-field]";
        assert_eq!(told(&before, &gone), [expected]);
    }

    #[test]
    fn a_field_that_is_read_and_gets_another_form_is_told_where_it_is_read() {
        let before = avro(&order("\"long\"", CITY));
        for (kind, form) in [
            ("\"string\"", "a string"),
            ("\"double\"", "a number"),
            (r#"["null", "string"]"#, "a string or null"),
            (r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#, "a decimal"),
        ] {
            let said = told(&before, &avro(&order(kind, CITY)));
            let expected =
                format!("order.saga.yaml:7:29: `event.amountCents` was an integer, and becomes {form} [retyped-field]");
            assert_eq!(said, [expected]);
        }
        for kind in ["\"int\"", r#"["null", "long"]"#] {
            assert_eq!(told(&before, &avro(&order(kind, CITY))), Vec::<String>::new(), "{kind}");
        }
    }

    #[test]
    fn a_json_schema_is_compared_alike() {
        let of = |amount: &str| {
            json(&format!(
                r#""orderId": {{"type": "string"}}, "amountCents": {{"type": "{amount}"}}, "address": {{"type": "object",
                "required": ["city"], "properties": {{"city": {{"type": "string"}}}}}},
                "items": {{"type": "array", "items": {{"type": "object", "required": ["sku"],
                "properties": {{"sku": {{"type": "string"}}}}}}}}"#
            ))
        };
        let said = told(&of("integer"), &of("number"));
        let expected = "order.saga.yaml:7:29: `event.amountCents` was an integer, and becomes a number or an integer";
        assert_eq!(said, [format!("{expected} [retyped-field]")]);
        assert_eq!(told(&of("number"), &of("integer")), Vec::<String>::new());
    }
}
