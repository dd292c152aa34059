use super::*;
use proptest::prelude::*;

const GUID: &str = "89791762-2336-4186-9674-299b90a802e2";

fn guid() -> Uuid {
    GUID.parse().expect("a GUID")
}

#[test]
fn json_has_no_frame() {
    for text in ["{\"a\": 1}", " [1]", "\"x\"", "-4", "null", "\u{feff}{}", ""] {
        assert_eq!(RecordFraming::of(text.as_bytes(), None), Ok(RecordFraming::Json(text.as_bytes())), "{text}");
    }
}

#[test]
fn the_registrys_frame_has_its_id_big_endian() {
    let record = [0, 0, 0, 1, 0x2a, 7, 8];
    assert_eq!(RecordFraming::of(&record, None), Ok(RecordFraming::RegistryId { id: 298, payload: &[7, 8] }));
    assert_eq!(framed_by_id(298, &[7, 8]), record);
}

/// The bytes that confluent-kafka for Python writes into the header (`header_schema_id_serializer`).
#[test]
fn the_header_names_the_schema_by_its_guid() {
    let header = b"\x01\x89\x79\x17\x62\x23\x36\x41\x86\x96\x74\x29\x9b\x90\xa8\x02\xe2";
    assert_eq!(guid_header(guid()), header);
    let framing = RecordFraming::of(&[0, 1], Some(header)).expect("a frame");
    assert_eq!(framing, RecordFraming::RegistryGuid { guid: guid(), payload: &[0, 1] });
}

#[test]
fn the_guid_may_stand_before_the_payload_too() {
    let record = [guid_header(guid()), vec![9]].concat();
    let framing = RecordFraming::of(&record, None).expect("a frame");
    assert_eq!(framing, RecordFraming::RegistryGuid { guid: guid(), payload: &[9] });
}

#[test]
fn the_header_may_hold_an_id() {
    let framing = RecordFraming::of(b"x", Some(&[0, 0, 0, 0, 5])).expect("a frame");
    assert_eq!(framing, RecordFraming::RegistryId { id: 5, payload: b"x" });
}

#[test]
fn a_single_object_has_its_fingerprint_little_endian() {
    let record = framed_as_single_object(0x0102_0304_0506_0708, &[1]);
    assert_eq!(record, [0xc3, 1, 8, 7, 6, 5, 4, 3, 2, 1, 1]);
    let framing = RecordFraming::of(&record, None).expect("a frame");
    assert_eq!(framing, RecordFraming::SingleObject { fingerprint: 0x0102_0304_0506_0708, payload: &[1] });
}

#[test]
fn a_bad_frame_says_what_was_found() {
    let told = |bytes: &[u8], header: Option<&[u8]>| RecordFraming::of(bytes, header).expect_err("bad").to_string();
    assert_eq!(
        told(&[0, 0, 1], None),
        "the frame is cut off: `00 00 01` begins a frame of 5 bytes, and the record has 3"
    );
    assert!(told(&[0xc3, 1, 2], None).contains("a frame of 10 bytes"));
    assert!(told(b"{}", Some(&[1, 2])).contains("holds `01 02` (2 bytes); expected 00 and an id"));
    assert!(told(b"{}", Some(&[])).contains("(0 bytes)"));
    assert!(told(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0], None).contains("begins with `1F 8B 08 00 00 00 00 00 …`"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, header: Option<Vec<u8>>) {
        let _ = RecordFraming::of(&bytes, header.as_deref());
    }

    #[test]
    fn what_is_framed_comes_back(id: u32, fingerprint: u64, payload: Vec<u8>) {
        let by_id = framed_by_id(id, &payload);
        prop_assert_eq!(RecordFraming::of(&by_id, None), Ok(RecordFraming::RegistryId { id, payload: &payload }));
        let single = framed_as_single_object(fingerprint, &payload);
        prop_assert_eq!(
            RecordFraming::of(&single, None),
            Ok(RecordFraming::SingleObject { fingerprint, payload: &payload })
        );
    }
}
