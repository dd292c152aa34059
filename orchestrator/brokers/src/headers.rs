//! Headers of records whose names are not text.

use rdkafka::message::{Header, Headers};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The header at `index`. `None`: there is none, or its name is not UTF-8. The protocol forbids such a name and brokers
/// do not check it. rdkafka panics on it, which would end the task or thread that reads the record.
pub fn header_at<H: Headers>(headers: &H, index: usize) -> Option<Header<'_, &[u8]>> {
    // Nothing is changed by reading, so nothing can be left half done.
    catch_unwind(AssertUnwindSafe(|| headers.try_get(index))).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::message::OwnedHeaders;

    /// As rdkafka's own do where a name is not UTF-8.
    struct UnreadableHeaders;

    impl Headers for UnreadableHeaders {
        fn count(&self) -> usize {
            1
        }

        fn try_get(&self, _: usize) -> Option<Header<'_, &[u8]>> {
            panic!("invalid utf-8 sequence")
        }
    }

    #[test]
    fn a_name_that_is_not_text_ends_nobody() {
        assert_eq!(header_at(&UnreadableHeaders, 0), None);
        let headers = OwnedHeaders::new().insert(Header { key: "a", value: Some("1") });
        assert_eq!(header_at(&headers, 0), Some(Header { key: "a", value: Some(&b"1"[..]) }));
        assert_eq!(header_at(&headers, 1), None);
    }
}
