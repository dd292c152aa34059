//! No digit is lost: a number is passed as it is, computed with exactly, or refused by name.

use super::*;

const EVENT: &str = r#"{
    "id": 25000000000000000001, "other": 25000000000000000002, "same": 25000000000000000001.0, "round": 25000000000000000000,
    "amount": 12345678901234567.89, "tiny": 1e-400, "huge": 1e400, "price": 12.50, "tenth": 0.1,
    "int": 9007199254740993, "whole": 9007199254740993.0, "near": 9007199254740992.0, "minus": -0,
    "lines": [{"sku": "a", "amount": 12345678901234567.89}, {"sku": "b", "amount": 1}]
}"#;

fn evaluated(source: &str) -> Result<String, String> {
    let event = crate::json::read(EVENT.as_bytes()).expect("JSON");
    let scope = ExpressionScope { event: Some(&event), ..ExpressionScope::default() };
    let expression = CelExpression::compile(source).map_err(|error| error.message)?;
    expression.evaluate(&scope).map(|value| value.to_string()).map_err(|error| error.message)
}

fn check(source: &str, expected: &str) {
    assert_eq!(evaluated(source).as_deref(), Ok(expected), "{source}");
}

#[test]
fn what_is_only_passed_on_keeps_its_digits() {
    check("event.id", "25000000000000000001");
    check("event.amount", "12345678901234567.89");
    check("event.price", "12.50");
    check("event.minus", "-0");
    check("[event.id, event.huge, event.tiny]", "[25000000000000000001,1e+400,1e-400]");
    check("has(event.amount) ? event.amount : null", "12345678901234567.89");
    check(r#"{"a": event.lines.map(l, l.amount)}"#, r#"{"a":[12345678901234567.89,1]}"#);
    check("event.lines.filter(l, l.sku == 'a')", r#"[{"amount":12345678901234567.89,"sku":"a"}]"#);
    check("event.lines.map(l, l.sku)", r#"["a","b"]"#);
    check("[event.round]", "[25000000000000000000]");
    check("string(event.id) + '/' + string(event.amount)", r#""25000000000000000001/12345678901234567.89""#);
    check("string(event.round)", r#""25000000000000000000""#);
}

#[test]
fn comparisons_are_exact_whichever_way_they_are_written() {
    for source in [
        "event.amount > 100",
        "100 < event.amount",
        "event.amount > 12345678901234567",
        "12345678901234568 > event.amount",
        "event.amount >= event.int",
        "event.id == event.same",
        "event.id != event.other",
        "event.id < event.other",
        "event.id > event.round",
        "event.round < event.id",
        "2.5e19 == event.round && event.round == 2.5e19",
        "event.huge > event.id && event.tiny > 0 && event.tiny > 0.0",
        "event.int == event.whole && event.whole == event.int",
        "event.int != event.near && event.near != event.int && event.near < event.int && event.int > event.near",
        "event.int != 9007199254740992.0 && !(9007199254740993 == event.near)",
        "event.id in [1, event.same] && !(event.id in [event.round]) && !(event.int in [event.near])",
        "event.lines.exists(l, l.amount == event.amount)",
        "event.minus == 0",
        "event.tenth == 0.1 && event.price == 12.5",
    ] {
        check(source, "true");
    }
}

#[test]
fn to_compute_with_more_digits_than_there_are_is_an_error_that_names_the_number() {
    for source in [
        "event.amount + 1.0",
        "1.0 + event.amount",
        "event.amount * 2.0",
        "-event.amount",
        "2.0 - event.amount",
        "5.0 / event.amount",
    ] {
        let complaint = evaluated(source).expect_err(source);
        assert!(complaint.starts_with("the number 12345678901234567.89 has more digits than"), "{source}: {complaint}");
    }
    for source in [
        "int(event.id)",
        "event.id % 2",
        "event.id.contains('x')",
        "'x' + event.id",
        "event.id < 'x'",
        "size(event.id)",
    ] {
        let complaint = evaluated(source).expect_err(source);
        assert!(complaint.starts_with("the number 25000000000000000001 has more digits than"), "{source}: {complaint}");
    }
    assert!(evaluated("double(event.int)").expect_err("rounded").contains("no double is exactly"));
    assert!(evaluated("double(event.id)").is_err() && evaluated("double('12345678901234567.89')").is_err());
    check("double(event.tenth) + double('0.5') + double(4)", "4.6");
    assert!(evaluated("event.tenth + null").expect_err("null").contains("does not take double and null"));
}

#[test]
fn doubles_compute_as_the_decimals_that_they_are_written_as() {
    for (source, expected) in [
        ("event.tenth + 0.2", "0.3"),
        ("event.tenth - 0.3", "-0.2"),
        ("event.price * 1.19", "14.875"),
        ("int(19.99 * 100.0)", "1999"),
        ("1.1 * 1.1", "1.21"),
        ("event.price / 0.5", "25.0"),
        ("1.0 / 8.0", "0.125"),
        ("0.0 - event.price", "-12.5"),
        ("event.tenth * 0.0 + 0.0", "0.0"),
        ("0.0 - 0.0", "0.0"),
        ("event.price - event.price", "0.0"),
        ("-1.5 + 1.5", "0.0"),
        ("1e300 + 0.0", "1e+300"),
        ("[0.1, 0.2, 0.3].map(x, x * 3.0)", "[0.3,0.6,0.9]"),
        ("event.tenth + 0.2 == 0.3 && 0.3 in [0.1 + 0.2]", "true"),
        ("'a' + 'b' + string(1)", r#""ab1""#),
        ("[1] + [2]", "[1,2]"),
        ("2 * 3 - 4 / 2", "4"),
    ] {
        check(source, expected);
    }
}

#[test]
fn what_has_no_exact_result_is_an_error_that_names_both() {
    for source in [
        "1.0 / 3.0",
        "1e300 + 1.0",
        "1e300 * 1e300",
        "1e-300 * 1e-300",
        "1.23456789012 * 1.23456789012",
        "9007199254740992.0 + 1.0",
        "123456789012345.5 - 0.001",
    ] {
        let complaint = evaluated(source).expect_err(source);
        assert!(complaint.contains("has no exact result"), "{source}: {complaint}");
    }
    for source in ["event.price / 0.0", "0.0 / 0.0", "1.0 / -0.0"] {
        assert!(evaluated(source).expect_err(source).contains("divides by zero"), "{source}");
    }
    assert!(evaluated("1.0 / 3.0").expect_err("endless").starts_with("1.0 / 3.0 has no exact result"));
}

#[test]
fn a_literal_that_would_be_rounded_is_refused() {
    for source in ["event.amount == 12345678901234567.89", "1e400 > 1.0", "[0.12345678901234567891]"] {
        assert!(evaluated(source).expect_err(source).contains("no double is exactly"), "{source}");
    }
    assert!(CelExpression::compile("event.id == 25000000000000000001").is_err());
    check("'12345678901234567.89'", r#""12345678901234567.89""#);
}

#[test]
fn a_computed_map_cannot_pose_as_a_number() {
    let complaint = evaluated(r#"{"$serde_json::private::Number": "5"}"#).expect_err("reserved");
    assert!(complaint.contains("reserved"), "{complaint}");
}
