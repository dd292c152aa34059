//! What the proof finds in a value.

use super::*;
use crate::expression::UnfitKind;

/// What the value of `source` can be where `maybe` and `result` can be null, and what is null where it must not be.
fn doubts(source: &str) -> (Vec<UnfitKind>, usize) {
    let expression = CelExpression::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    let nullable = |path: &[String]| (path.last()? == "maybe" || path == ["result"]).then_some(UnfitKind::Null);
    let found = expression.doubts(&[], &nullable);
    (found.value.iter().map(|doubt| doubt.unfit).collect(), found.operands.len())
}

#[test]
fn null_is_found_in_lists_maps_and_macros() {
    for source in [
        "[result].map(r, r != null ? r.id : null)[0]",
        "[result].map(r, r)[0]",
        "[null, doId][0]",
        "{'a': null}.a",
        "{'a': {'b': [1, event.maybe]}}['a'].b[1]",
        "{'a': event.maybe}[event.name]",
        "[1, event.maybe][event.index]",
        "([1] + [null])[1]",
        "(event.a ? {'x': null} : {'x': 1}).x",
        "[[1], [null]].map(l, l.map(x, x))[0][0]",
        "[event].map(e, e.maybe)[0]",
        "[event.maybe, 1].filter(x, x != 1)[0]",
        "[1].map(x, x > 0, null)[0]",
        "dyn([null])[0]",
    ] {
        assert_eq!(doubts(source), (vec![UnfitKind::Null], 0), "{source}");
    }
    for source in ["[result].exists(r, r > 1)", "{'a': null}.a + 1", "[[event.maybe]][0][0].startsWith('a')"] {
        assert_eq!(doubts(source).1, 1, "{source}");
    }
}

#[test]
fn fields_of_what_a_macro_goes_through_are_not_read_of_null() {
    for source in [
        "[result].map(r, r.id)",
        "[event.a, result].map(r, r.m)",
        "[result].exists(r, r.id == 5)",
        "[result].filter(r, r.id == 5)",
        "[result].all(r, r.id == 5)",
        "{'a': [result]}.a.map(r, r.id)",
        "[[result]].map(x, x[0].id)",
        "[event.x, null].map(x, x.id)",
        "[event.maybe].map(x, [x].map(y, y.a.b))",
    ] {
        assert!(doubts(source).1 > 0, "{source}");
    }
    for source in [
        "[result].map(r, r != null ? r.id : 1)",
        "[result].filter(r, r != null && r.id == 5)",
        "[event].map(e, e.a.b)",
        "event.items.map(i, i.sku)",
        "event.items.map(i, i.lines.map(l, l.price))",
        "[event.maybe].map(x, [event].map(x, x.a))",
    ] {
        assert_eq!(doubts(source).1, 0, "{source}");
    }
}

#[test]
fn what_is_not_null_is_not_refused() {
    for source in [
        "[null, doId][1]",
        "{'a': null, 'b': 1}.b",
        "{'a': null}.map(k, k)[0]",
        "[result].filter(r, r != null)[0]",
        "[result].map(r, r != null ? r : 'none')[0]",
        "[result].map(r, r != null, r)[0]",
        "[result].exists(r, r != null && r > 1)",
        "(event.a ? [1] : [2])[0]",
        "[1].map(result, result)[0]",
        "[event.maybe].map(x, [1].map(x, x)[0])[0]",
        "event.maybe != null ? [event.maybe][0] : 1",
        "size([null])",
        "[null] == [null]",
    ] {
        assert_eq!(doubts(source), (Vec::new(), 0), "{source}");
    }
}

#[test]
fn a_proof_of_nested_macros_ends() {
    let all = |name: &str| vec![name; 400].join(", ");
    let source = format!("[{}].map(a, [{}].map(b, [{}][event.i])[event.j])[event.k]", all("1"), all("a"), all("b"));
    CelExpression::compile(&source).expect("an expression").doubts(&[], &|_| Some(UnfitKind::Null));
    let deep = format!("{}event.a{}", "[".repeat(31), "][0]".repeat(31));
    assert_eq!(
        CelExpression::compile(&deep).expect("an expression").doubts(&[], &|_| Some(UnfitKind::Null)).value.len(),
        1
    );
}
