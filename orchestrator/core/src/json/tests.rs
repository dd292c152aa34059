//! What is let in keeps its digits and can be read back; everything else is refused by name.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn digits_are_kept_as_they_came() {
    for text in [
        "25000000000000000001",
        "12345678901234567.89",
        "-0",
        "1.0",
        "1.10",
        "1e-400",
        "0.1e+400",
        "123456789012345678901234567890123456789012345678901234567890",
    ] {
        let value = read(text.as_bytes()).expect(text);
        assert_eq!(value.to_string(), text);
        assert_eq!(read(value.to_string().as_bytes()), Ok(value), "{text}");
    }
}

#[test]
fn an_exponent_gets_its_sign_once() {
    assert_eq!(read(b"1E5").expect("a number").to_string(), "1e+5");
    assert_eq!(read(b"1e+5").expect("a number").to_string(), "1e+5");
}

#[test]
fn depth_is_counted_however_deep() {
    assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
    for found in [MAX_DEPTH + 1, 121, 128, 100_000] {
        assert_eq!(read(nested(found).as_bytes()), Err(JsonError::Depth { found }));
    }
    let in_strings = format!("[\"{}\"]", "[\\\"".repeat(200));
    assert!(read(in_strings.as_bytes()).is_ok());
    assert_eq!(depth(&json!({"a": [{"b": []}], "c": 1})), 4);
}

#[test]
fn what_is_not_json_is_an_error_and_never_a_panic() {
    for bytes in [&b""[..], b"{", b"\xff", b"{} {}", b"\"\\ud800\"", b"\"\\", "[".repeat(100_000).as_bytes()] {
        assert!(matches!(read(bytes), Err(JsonError::NotJson(_))), "{bytes:?}");
    }
}

#[test]
fn numbers_have_a_bound() {
    assert!(read("9".repeat(MAX_NUMBER_CHARS).as_bytes()).is_ok());
    assert!(read(b"1e9999").is_ok() && read(b"1e-9999").is_ok());
    for text in
        ["9".repeat(MAX_NUMBER_CHARS + 1), "9".repeat(10_000), "1e10000".into(), format!("1e{}", "9".repeat(40))]
    {
        assert_eq!(read(text.as_bytes()).map_err(|unfit| unfit.code()), Err("number"));
    }
}

#[test]
fn what_is_wrong_is_said_of_what_came_and_not_of_the_parser() {
    let said = |bytes: &[u8]| read(bytes).expect_err("it cannot be let in").to_string();
    for lone in [r#""\ud800""#, r#"{"a": "\ud83d x"}"#, r#""\ud83d\u0041""#, r#"["\udc00"]"#] {
        assert!(said(lone.as_bytes()).contains("half of a surrogate pair"), "{lone}: {}", said(lone.as_bytes()));
    }
    for latin in [&b"{\"name\": \"Ren\xe9\"}"[..], b"\"\xfc\"", b"[\"\xe9t\xe9\"]"] {
        assert!(said(latin).contains("no UTF-8") && said(latin).contains("\\x"), "{}", said(latin));
    }
    for number in ["1e99999", "-1E-10000", "1e99999999999999999999"] {
        let said = said(number.as_bytes());
        assert!(said.contains("exponent beyond 9999") && !said.contains("characters"), "{said}");
    }
    assert!(said("9".repeat(200).as_bytes()).contains("has 200 characters; at most 128"));
}

#[test]
fn nul_is_found_wherever_it_hides() {
    for text in [r#""\u0000""#, r#"{"a":["b\u0000"]}"#, r#"{"a\u0000":1}"#] {
        assert_eq!(read(text.as_bytes()).map_err(|unfit| unfit.code()), Err("nul"));
    }
    assert!(read(br#"{"a":"\\u0000"}"#).is_ok());
}

#[test]
fn a_map_cannot_pose_as_a_number() {
    for text in [
        r#"{"$serde_json::private::Number": "5"}"#,
        r#"[{"a": {"\u0024serde_json::private::Number" : "5"}}]"#,
        r#"{"b": 1, "$serde_json::private::RawValue":"[]"}"#,
    ] {
        assert_eq!(read(text.as_bytes()), Err(JsonError::ReservedName), "{text}");
    }
    assert!(read(br#"["$serde_json::private::Number", "\u0024serde_json::private::Number"]"#).is_ok());
    assert_eq!(check(&json!({"$serde_json::private::Number": 1})), Err(JsonError::ReservedName));
}

#[test]
fn the_same_number_is_the_same_payload() {
    let text = |json: &str| canonical(&read(json.as_bytes()).expect(json));
    assert_eq!(text(r#"{"b": [1.50, "x"], "a": 1000}"#), text(r#"{"a": 1000, "b": [15e-1, "x"]}"#));
    assert_eq!(text("[0, -0.0]"), text("[0, 0e5]"));
    assert_ne!(text("25000000000000000001"), text("25000000000000000002"));
    assert_ne!(text("0.12345678901234567891"), text("0.12345678901234567892"));
}

#[test]
fn decimals_compare_by_value() {
    let of = |text: &str| DecimalNumber::of(text).expect(text);
    let ascending =
        ["-1e400", "-25000000000000000001", "-1.5", "-0.2", "0", "1e-400", "0.1", "0.11", "9", "10", "1e400"];
    assert!(ascending.windows(2).all(|pair| of(pair[0]) < of(pair[1])));
    assert_eq!(of("100"), of("1e2"));
    assert_eq!(of("-0.0"), of("0"));
    assert_eq!(of("9007199254740993.0").as_whole(), Some(9_007_199_254_740_993));
    assert_eq!(of("0.1").as_exact_double(), Some(0.1));
    assert_eq!(of("12345678901234567.89").as_exact_double(), None);
    assert_eq!(of("1e400").as_exact_double(), None);
    assert_eq!(of("25000000000000000000").as_exact_double(), Some(2.5e19));
}

proptest! {
    #[test]
    fn a_double_stands_for_its_own_decimal(double in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
        let decimal = DecimalNumber::of_double(double).expect("finite");
        prop_assert_eq!(decimal.as_exact_double(), Some(double));
    }

    #[test]
    fn integers_order_as_integers_do(a: i64, b: i64) {
        let of = |number: i64| DecimalNumber::of(&number.to_string()).expect("a number");
        prop_assert_eq!(of(a).cmp(&of(b)), a.cmp(&b));
        prop_assert_eq!(of(a).as_whole(), Some(i128::from(a)));
    }

    #[test]
    fn what_is_read_is_read_back(text in "[-]?(0|[1-9][0-9]{0,40})([.][0-9]{1,30})?([eE][+-]?[0-9]{1,3})?") {
        let value = read(text.as_bytes()).expect("a number");
        prop_assert_eq!(read(value.to_string().as_bytes()), Ok(value));
    }
}

#[test]
fn a_name_that_occurs_twice_in_one_object_is_refused_and_named() {
    let refused = |text: &str, name: &str| {
        assert_eq!(read(text.as_bytes()), Err(JsonError::RepeatedName(name.to_owned())), "{text}");
    };
    refused(r#"{"a":1,"a":1}"#, "a");
    refused(r#"{"a":1,"\u0061":{}}"#, "a");
    refused(r#"[1.50,{"b":{"c":null,"d":[{"e":true,"e":false}]}}]"#, "e");
    refused(r#"{"a":{"x":1},"b":{"x":1,"y":2,"y":3}}"#, "y");
    assert!(read(br#"{"a":":","b":{"a":"a:b"},"c":[{"a":1},{"a":2}]}"#).is_ok());
}

#[test]
fn a_byte_order_mark_says_nothing() {
    assert_eq!(read(b"\xef\xbb\xbf{}"), Ok(json!({})));
    assert!(read(b"{\xef\xbb\xbf}").is_err());
}

proptest! {
    /// What was written of a value has no name twice, and one more of any name is found.
    #[test]
    fn no_name_is_found_twice_that_is_not(names in proptest::collection::btree_set("[a-c:\\\\\"{}]{0,4}", 1..5), at in 0usize..4) {
        let members: Vec<String> = names.iter().map(|name| format!("{}:[{{\"{}\":1}}]", json!(name), at)).collect();
        let text = format!("{{{}}}", members.join(","));
        prop_assert!(read(text.as_bytes()).is_ok(), "{text}");
        let again = &members[at % members.len()];
        let text = format!("{{{},{again}}}", members.join(","));
        prop_assert!(matches!(read(text.as_bytes()), Err(JsonError::RepeatedName(_))), "{text}");
    }
}
