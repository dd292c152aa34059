//! What a client has noted that nobody polls.

use rdkafka::{
    bindings::{
        RD_KAFKA_EVENT_ERROR, RD_KAFKA_EVENT_LOG, rd_kafka_event_destroy, rd_kafka_event_error_string,
        rd_kafka_event_log, rd_kafka_event_t, rd_kafka_event_type, rd_kafka_queue_destroy, rd_kafka_queue_get_main,
        rd_kafka_queue_poll,
    },
    client::{Client, ClientContext},
};
use std::{
    ffi::{CStr, c_char},
    ptr,
};

/// Most events that are looked at: a client that cannot connect notes some in a second.
const MOST_EVENTS: usize = 1_000;
/// How librdkafka sums up what it has said of each broker before.
const SUMMARY: &str = "brokers are down";
/// Lines of the log above this level are no errors; RFC 5424.
const ERROR_LEVEL: i32 = 3;

/// Why `client` could not connect last, as librdkafka says it: a refused login, a certificate that does not hold,
/// nobody who listens. `None`: it has noted no error. For clients that are asked and not polled: rdkafka gives their
/// context none of this, and the answer to a question says only that there is no broker.
#[must_use]
#[expect(unsafe_code, reason = "rdkafka polls only queues of its own")]
pub fn last_noted_error<C: ClientContext>(client: &Client<C>) -> Option<String> {
    let mut last = None;
    // SAFETY: the client lives as long as the borrow, and so does its main queue, whose reference is given back. Each
    // event is ours until it is destroyed, once.
    unsafe {
        let queue = rd_kafka_queue_get_main(client.native_ptr());
        for _ in 0..MOST_EVENTS {
            let event = rd_kafka_queue_poll(queue, 0);
            if event.is_null() {
                break;
            }
            last = said_by(event).or(last);
            rd_kafka_event_destroy(event);
        }
        rd_kafka_queue_destroy(queue);
    }
    last
}

/// The error that the event tells of, without the name of the client and its thread.
///
/// # Safety
/// The event has to be one that is not destroyed.
#[expect(unsafe_code, reason = "rdkafka polls only queues of its own")]
unsafe fn said_by(event: *mut rd_kafka_event_t) -> Option<String> {
    // SAFETY: the event lives, and with it the texts, which are copied before this returns.
    unsafe {
        let text = match rd_kafka_event_type(event) {
            RD_KAFKA_EVENT_ERROR => copied(rd_kafka_event_error_string(event)),
            RD_KAFKA_EVENT_LOG => {
                let (mut facility, mut line, mut level) = (ptr::null(), ptr::null(), 0);
                let is_line = rd_kafka_event_log(event, &raw mut facility, &raw mut line, &raw mut level) == 0;
                if is_line && level <= ERROR_LEVEL { copied(line) } else { None }
            }
            _ => None,
        }?;
        if text.ends_with(SUMMARY) {
            return None;
        }
        Some(text.rsplit_once("]: ").map_or(text.as_str(), |(_, said)| said).to_owned())
    }
}

/// # Safety
/// The text has to be null, or end with a zero.
#[expect(unsafe_code, reason = "a text of librdkafka")]
unsafe fn copied(text: *const c_char) -> Option<String> {
    // SAFETY: the caller says so.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::{
        config::ClientConfig,
        producer::{BaseProducer, Producer},
    };
    use std::time::Duration;

    #[test]
    fn a_client_that_meets_nobody_says_why() {
        let config = ClientConfig::new().set("bootstrap.servers", "127.0.0.1:1").clone();
        let client: BaseProducer = config.create().expect("a client");
        client.client().fetch_metadata(None, Duration::from_secs(2)).expect_err("nobody listens there");
        let why = last_noted_error(client.client()).expect("an error");
        assert!(why.contains("Connection refused"), "{why}");
    }
}
