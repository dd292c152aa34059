//! Any bytes as JSON: what is let in is read back as it was, digit for digit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga_core::json;

fuzz_target!(|bytes: &[u8]| {
    let _ = (json::what_it_is(bytes), json::read_envelope(bytes));
    let Ok(value) = json::read(bytes) else { return };
    assert_eq!(json::check(&value), Ok(()));
    let written = value.to_string();
    assert_eq!(json::check_written(written.as_bytes()), Ok(()));
    assert_eq!(json::read(written.as_bytes()), Ok(value));
});
