//! Any value with any header that names its schema: the frame and the payload, and framed again the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga_schemas::framing::{RecordFraming, framed_as_single_object, framed_by_id, guid_header};

fuzz_target!(|input: (&[u8], Option<&[u8]>)| {
    let (bytes, header) = input;
    if let Ok(framing) = RecordFraming::of(bytes, header) {
        assert!(bytes.ends_with(framing.payload()));
    }
    let again = match RecordFraming::of(bytes, None) {
        Ok(RecordFraming::Json(payload)) => payload.to_vec(),
        Ok(RecordFraming::RegistryId { id, payload }) => framed_by_id(id, payload),
        Ok(RecordFraming::RegistryGuid { guid, payload }) => [guid_header(guid), payload.to_vec()].concat(),
        Ok(RecordFraming::SingleObject { fingerprint, payload }) => framed_as_single_object(fingerprint, payload),
        Err(_) => return,
    };
    assert_eq!(again, bytes);
});
