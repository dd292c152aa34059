use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn decimal(precision: usize, scale: usize) -> BytesMeaning {
    BytesMeaning::Decimal { precision, scale }
}

#[test]
fn dates_and_times_are_texts() {
    let date = |days| int_value(IntMeaning::Date, days);
    assert_eq!(date(20_787), Ok(json!("2026-11-30")));
    assert_eq!(date(-719_528), Ok(json!("0000-01-01")));
    assert_eq!(int_value(IntMeaning::TimeMillis, 58_500_500), Ok(json!("16:15:00.5")));
    assert_eq!(long_value(LongMeaning::TimeMicros, 1), Ok(json!("00:00:00.000001")));
    assert_eq!(long_value(LongMeaning::Timestamp(TimeUnit::Millis), 1_000), Ok(json!("1970-01-01T00:00:01Z")));
    assert_eq!(long_value(LongMeaning::Timestamp(TimeUnit::Micros), -1), Ok(json!("1969-12-31T23:59:59.999999Z")));
    let nanos = long_value(LongMeaning::Timestamp(TimeUnit::Nanos), i64::MAX);
    assert_eq!(nanos, Ok(json!("2262-04-11T23:47:16.854775807Z")));
    let local = long_value(LongMeaning::LocalTimestamp(TimeUnit::Millis), 1_500);
    assert_eq!(local, Ok(json!("1970-01-01T00:00:01.5")));
}

#[test]
fn the_last_moments_of_the_last_year_are_read_and_written() {
    let millis = LongMeaning::Timestamp(TimeUnit::Millis);
    for (number, text) in [
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_207_201_000, "9999-12-30T22:00:01Z"),
        (-62_167_219_200_000, "0000-01-01T00:00:00Z"),
    ] {
        assert_eq!(long_value(millis, number), Ok(json!(text)));
        assert_eq!(long_of(millis, &json!(text)), Ok(number));
    }
    assert_eq!(long_of(millis, &json!("9999-12-31T23:59:59+01:00")), Ok(253_402_297_199_000));
    assert!(long_value(millis, 253_402_300_800_000).is_err());
    assert!(long_of(millis, &json!("9999-12-31T23:59:59")).is_err(), "it has no offset");
}

#[test]
fn what_is_out_of_range_is_told() {
    let told = |fault: Result<Value, LogicalFault>| fault.expect_err("out of range").to_string();
    assert!(told(int_value(IntMeaning::Date, i32::MAX)).contains("2147483647 as date is outside"));
    assert!(told(int_value(IntMeaning::Date, -719_529)).contains("years 0000 to 9999"));
    assert!(told(long_value(LongMeaning::Timestamp(TimeUnit::Millis), i64::MIN)).contains("timestamp-millis"));
    assert!(told(long_value(LongMeaning::TimeMicros, 86_400_000_000)).contains("is not a time of a day"));
    assert!(told(int_value(IntMeaning::TimeMillis, -1)).contains("-1 as time-millis"));
    assert!(told(bytes_value(decimal(4, 2), &[1; 1025])).contains("1025 bytes"));
    assert!(told(bytes_value(BytesMeaning::Uuid, &[1; 3])).contains("uuid has 16 bytes, not 3"));
    let scale = [&[2, 1][..], &[0xff, 0xff, 0xff, 0x0f]].concat();
    assert!(told(bytes_value(BytesMeaning::BigDecimal, &scale)).contains("the scale -16777216"));
    assert!(told(bytes_value(BytesMeaning::BigDecimal, &[0x80])).contains("no big-decimal"));
}

#[test]
fn decimals_keep_their_scale() {
    let of = |bytes: &[u8], scale| bytes_value(decimal(30, scale), bytes).expect("a decimal");
    assert_eq!(of(&[0x04, 0xe2], 2), json!("12.50"));
    assert_eq!(of(&[0xfb, 0x1e], 2), json!("-12.50"));
    assert_eq!(of(&[0xff], 3), json!("-0.001"));
    assert_eq!(of(&[], 2), json!("0.00"));
    assert_eq!(of(&[7], 0), json!("7"));
    assert_eq!(of(&[&[1][..], &[0; 17]].concat(), 0), json!("87112285931760246646623899502532662132736"));
}

#[test]
fn decimals_that_lose_digits_are_refused() {
    let written = |text: &str| bytes_of(decimal(4, 2), &json!(text), None);
    assert_eq!(written("12.5"), Ok(vec![0x04, 0xe2]));
    assert_eq!(written("12.500"), Ok(vec![0x04, 0xe2]));
    assert!(written("12.505").expect_err("too many").contains("at most 2 digits after the point, found 3"));
    assert!(written("123.45").expect_err("too many").contains("at most 4 digits, found 5"));
    for wrong in ["", "-", ".5", "5.", "1e3", "1,5", "0x1", "+-1"] {
        assert!(written(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn times_that_lose_digits_are_refused() {
    let written = |text: &str| long_of(LongMeaning::Timestamp(TimeUnit::Millis), &json!(text));
    assert_eq!(written("1970-01-01T01:00:00.001+01:00"), Ok(1));
    assert!(written("1970-01-01T00:00:00.0001Z").expect_err("digits").contains("more digits"));
    assert!(written("yesterday").is_err());
    let local = |text: &str| long_of(LongMeaning::LocalTimestamp(TimeUnit::Millis), &json!(text));
    assert_eq!(local("1970-01-01T00:00:01"), Ok(1000));
    assert!(local("1970-01-01T00:00:01+01:00").is_err());
    assert!(local("1970-01-01T00:00:01Z").is_err());
}

proptest! {
    #[test]
    fn an_int_comes_back(number: i32) {
        for meaning in [IntMeaning::Plain, IntMeaning::Date, IntMeaning::TimeMillis] {
            if let Ok(value) = int_value(meaning, number) {
                prop_assert_eq!(int_of(meaning, &value), Ok(number), "{:?} {}", meaning, value);
            }
        }
    }

    #[test]
    fn a_long_comes_back(number in prop_oneof![any::<i64>(), -70_000_000_000_000i64..300_000_000_000_000]) {
        use TimeUnit::{Micros, Millis, Nanos};
        let units = [Millis, Micros, Nanos];
        let instants = units.into_iter().flat_map(|it| [LongMeaning::Timestamp(it), LongMeaning::LocalTimestamp(it)]);
        for meaning in instants.chain([LongMeaning::Plain, LongMeaning::TimeMicros]) {
            if let Ok(value) = long_value(meaning, number) {
                prop_assert_eq!(long_of(meaning, &value), Ok(number), "{:?} {}", meaning, value);
            }
        }
    }

    #[test]
    fn bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..40), scale in 0usize..50) {
        let plain = bytes_value(BytesMeaning::Plain, &bytes).expect("any bytes");
        prop_assert_eq!(bytes_of(BytesMeaning::Plain, &plain, None), Ok(bytes.clone()));
        let text = bytes_value(decimal(200, scale), &bytes).expect("a decimal");
        let again = bytes_of(decimal(200, scale), &text, None).expect("its bytes");
        prop_assert_eq!(bytes_value(decimal(200, scale), &again), Ok(text.clone()));
        let big = bytes_of(BytesMeaning::BigDecimal, &text, None).expect("its bytes");
        prop_assert_eq!(bytes_value(BytesMeaning::BigDecimal, &big), Ok(text));
        let _ = bytes_value(BytesMeaning::BigDecimal, &bytes);
    }
}
