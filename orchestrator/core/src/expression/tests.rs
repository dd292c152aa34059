//! What expressions mean, and that no source or value makes them exceed their bounds.

use super::*;
use serde_json::json;

fn event() -> Value {
    json!({
        "orderId": "4711", "amountCents": 4200, "big": 18_446_744_073_709_551_615_u64, "ratio": 0.5,
        "price": "12.30", "note": null, "digital": false, "a-b": 1,
        "items": [{"sku": "s1", "qty": 2}, {"sku": "s2", "qty": 1}],
    })
}

fn value(source: &str) -> Result<Value, String> {
    let event = event();
    let steps = json!({"reserve": {"reservationId": "r1"}});
    let scope = ExpressionScope {
        event: Some(&event),
        steps: steps.as_object(),
        do_id: Some("x:reserve:do"),
        ..ExpressionScope::default()
    };
    let expression = CelExpression::compile(source).map_err(|error| error.to_string())?;
    expression.evaluate(&scope).map_err(|error| error.message)
}

fn check(source: &str, expected: &Value) {
    assert_eq!(value(source).as_ref(), Ok(expected), "{source}");
}

#[test]
fn selecting_passes_the_value_unchanged() {
    check("event.big", &json!(18_446_744_073_709_551_615_u64));
    check("event.items[1].sku", &json!("s2"));
    check("event['a-b']", &json!(1));
    check("event.note", &Value::Null);
    check("steps.reserve.reservationId", &json!("r1"));
    check("doId", &json!("x:reserve:do"));
}

#[test]
fn integers_enter_as_int_or_uint_and_other_numbers_as_double() {
    check("event.amountCents + 1", &json!(4201));
    check("type(event.big) == uint", &json!(true));
    check("event.ratio * 2.0", &json!(1.0));
    check("event.amountCents > 0 && !event.digital", &json!(true));
}

mod digits;
mod kinds;
mod nulls;

#[test]
fn computed_maps_are_sorted() {
    let sorted = value(r#"{"b": 1, "a": {"d": 2, "c": 3}}"#).expect("a map");
    assert_eq!(sorted.to_string(), r#"{"a":{"c":3,"d":2},"b":1}"#);
    check(r#"event.items.map(i, {"sku": i.sku, "qty": i.qty})"#, &event()["items"]);
    check("event.items.filter(i, i.qty > 1).map(i, i.sku)", &json!(["s1"]));
    check("event.items.all(i, i.qty > 0) && event.items.exists(i, i.sku == 's2')", &json!(true));
    check("has(event.coupon) ? event.coupon : null", &Value::Null);
    check("duration('90s')", &json!("90s"));
    check("timestamp('2024-01-01T00:00:00Z')", &json!("2024-01-01T00:00:00+00:00"));
}

#[test]
fn errors_say_what_to_write() {
    let complaint = |source: &str| value(source).expect_err(source);
    assert_eq!(
        complaint("event.amountCents * 1.5"),
        "`mul` does not take int and double; write the number as `2.0`, or double(x)"
    );
    assert_eq!(
        complaint("event.amountCents + 'x'"),
        "`add` does not take int and string; write string(x) to join strings, int(x) or double(x) to compute"
    );
    assert_eq!(
        complaint("event.missing"),
        "`event.missing` is missing; if it may be missing, test `has(event.missing)` first"
    );
    assert_eq!(complaint("event.note.x"), "`event.note` is null, so `event.note.x` does not exist");
    assert_eq!(
        complaint("event.missing + 1"),
        "there is no field `missing`; if it may be missing, test `has(… .missing)` first"
    );
    assert_eq!(
        complaint("steps.charge.id"),
        "step `charge` has no result; if it may be missing, test `has(steps.charge)` first"
    );
    assert_eq!(complaint("result.x"), "`result` is not known here");
    assert_eq!(complaint("event.amountCents / 0"), "division by zero");
    assert_eq!(
        complaint("event.note < 1"),
        "`<` does not take null_type and int; if it may be null, test `x != null` first"
    );
}

#[test]
fn a_condition_has_to_be_a_boolean() {
    let expression = CelExpression::compile("1 + 1").expect("compiles");
    let error = expression.evaluate_bool(&ExpressionScope::default()).expect_err("a number");
    assert_eq!(error.to_string(), "`1 + 1`: is a number, a condition has to be true or false");
}

#[test]
fn text_around_a_value_takes_scalars() {
    let event = event();
    let scope = ExpressionScope { event: Some(&event), ..ExpressionScope::default() };
    let render = |text: &str| ValueTemplate::text(text).expect(text).render(&scope).map_err(|error| error.message);
    assert_eq!(render("order ${ event.orderId }: ${event.amountCents}"), Ok(json!("order 4711: 4200")));
    assert_eq!(render("${ event.amountCents }"), Ok(json!(4200)));
    assert_eq!(render("${ {\"a\": \"}\"} }"), Ok(json!({"a": "}"})));
    assert_eq!(render("costs $${x}"), Ok(json!("costs ${x}")));
    assert_eq!(render("$5 ${ event.digital }"), Ok(json!("$5 false")));
    assert_eq!(render("x ${ event.note }"), Err("is null; text takes strings, numbers and booleans".into()));
    assert!(ValueTemplate::text("${ event.orderId").is_err());
    assert_eq!(ValueTemplate::text("ab ${ 1 + }").expect_err("incomplete").offset, 9);
}

#[test]
fn a_value_in_a_path_stays_one_segment() {
    let render = |id: &str| {
        let event = json!({"id": id});
        let scope = ExpressionScope { event: Some(&event), ..ExpressionScope::default() };
        PathTemplate::compile("orders/${ event.id }/lines").expect("a path").render(&scope).ok()
    };
    assert_eq!(render("a/b ?ü").as_deref(), Some("orders/a%2Fb%20%3F%C3%BC/lines"));
    assert_eq!(render(""), None);
    assert_eq!(render(".."), None);
    for wrong in ["a//b", "/a", "a/../b", "a?x=1", "a b", ""] {
        assert!(PathTemplate::compile(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn reads_know_what_guards_them() {
    let reads =
        CelExpression::compile("has(steps.a) && steps.a.x > 1 || event.l.exists(event2, event2.y == steps.b.z)")
            .expect("compiles")
            .reads();
    let paths: Vec<_> = reads.iter().map(|read| (read.path.join("."), read.asks_presence, read.known.len())).collect();
    assert_eq!(
        paths,
        [
            ("steps.a".to_owned(), true, 0),
            ("steps.a.x".to_owned(), false, 1),
            ("event.l".to_owned(), false, 0),
            ("steps.b.z".to_owned(), false, 0),
        ]
    );
    let guarded = CelExpression::compile("result == null ? '' : result.id").expect("compiles").reads();
    assert_eq!(guarded[1].known, [PathFact::NotNull(vec!["result".into()])]);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_parsed() {
    let refused = |source: String| CelExpression::compile(&source).expect_err("too large").message;
    assert!(refused("1".repeat(4097)).contains("4097 bytes"));
    assert!(refused("(".repeat(4000)).contains("brackets"));
    assert!(refused(format!("{}1{}", "[".repeat(33), "]".repeat(33))).contains("brackets"));
    assert!(refused(format!("{}true", "!".repeat(4000))).contains("operators"));
    assert!(refused(format!("{}1", "- ".repeat(2000))).contains("operators"));
    assert!(refused("true ? 1 : ".repeat(300)).contains("operators"));
    assert!(refused(vec!["1"; 2000].join("+")).contains("levels"));
    assert!(refused(format!("event{}", ".a".repeat(2000))).contains("levels"));
    assert!(refused("[1].map(a, [1].map(b, [1].map(c, 1)))".into()).contains("nest at most 2"));
}

fn on_a_stack_of(bytes: usize, work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(bytes).spawn(work).expect("a thread");
    thread.join().expect("no overflow, no panic");
}

#[test]
fn the_deepest_expression_has_a_value_on_any_stack() {
    on_a_stack_of(256 * 1024, || {
        let nested = format!("{}1{}", "[".repeat(31), "]".repeat(31));
        let sum = vec!["event.amountCents"; limits::MAX_DEPTH - 2].join("+");
        let mixed = format!("{}{}{}", "(1+".repeat(31), vec!["1"; 60].join("+"), ")".repeat(31));
        let looped = format!("[1].map(a, [2].map(b, {}))", vec!["a + b"; 30].join(" + "));
        let choices = format!("{}2", "event.digital ? 1 : ".repeat(32));
        let negations = format!("{}event.digital", "!".repeat(32));
        for source in [nested, sum, mixed, looped, choices, negations] {
            assert!(value(&source).is_ok(), "{source}: {:?}", value(&source));
        }
    });
}

/// A worker thread has 2 MiB, and something called us there.
#[test]
fn an_inline_expression_fits_half_of_a_worker() {
    on_a_stack_of(1024 * 1024, || {
        let sum = ["event.amountCents"; limits::INLINE_DEPTH - 1].join("+");
        let nested = format!("{}1{}", "[".repeat(limits::INLINE_DEPTH - 1), "]".repeat(limits::INLINE_DEPTH - 1));
        assert!(value(&sum).is_ok() && value(&nested).is_ok());
    });
}

#[test]
fn no_source_overflows_the_parser() {
    on_a_stack_of(1024 * 1024, || {
        for hostile in
            ["(", "[", "{", "!", "-", "a?", "a.", "f(", "[{(", "?:", "a[", "1+", "\"", "a&&", "has(", "!-", "a.b("]
        {
            assert!(CelExpression::compile(&hostile.repeat(4096 / hostile.len())).is_err(), "{hostile}");
        }
    });
}

#[test]
fn iterations_are_counted() {
    let event = json!({"many": vec![0; 400]});
    let scope = ExpressionScope { event: Some(&event), ..ExpressionScope::default() };
    let evaluate =
        |source: &str| CelExpression::compile(source).expect(source).evaluate(&scope).map_err(|error| error.message);
    assert!(evaluate("event.many.map(x, event.many.exists(y, y == 1)).size() == 400").is_err());
    assert_eq!(evaluate("event.many.map(x, x + 1).size()"), Ok(json!(400)));
    let complaint = evaluate("event.many.map(x, event.many.map(y, y))").expect_err("160,000 elements");
    assert_eq!(complaint, "visits more than 100000 elements; let a participant process lists of this size");
}
