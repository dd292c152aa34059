//! Answers as real servers write them, byte by byte.

use super::*;
use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use std::io::Write;

/// What an answer of these bytes comes to; its connection is closed behind it.
async fn written(bytes: impl Into<Vec<u8>>) -> CommandAnswer {
    written_to(&a_call(), bytes).await
}

async fn written_to(call: &ParticipantCall, bytes: impl Into<Vec<u8>>) -> CommandAnswer {
    let (listener, address) = listen().await;
    let bytes = bytes.into();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a caller");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(&bytes).await;
    });
    ask(&HttpSettings::at("payments", format!("http://{address}/api")), call).await
}

/// A 200 with these headers, each with its line break, and this body.
fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn json_of(body: &[u8]) -> Vec<u8> {
    ok("Content-Type: application/json\r\n", body)
}

fn message(answer: &CommandAnswer) -> &str {
    match answer {
        CommandAnswer::Failed { failure, .. } | CommandAnswer::Unknown { failure, .. } => &failure.message,
        CommandAnswer::Succeeded { .. } | CommandAnswer::Ongoing { .. } | CommandAnswer::NotSent { .. } => {
            panic!("{answer:?}")
        }
    }
}

#[tokio::test]
async fn a_byte_order_mark_and_blanks_say_nothing() {
    let check = async |bytes: Vec<u8>, expected: &str| assert_eq!(summary(&written(bytes).await), expected);
    check(json_of(b"\xef\xbb\xbf{\"id\":7}"), r#"succeeded {"id":7}"#).await;
    check(json_of(b"\xef\xbb\xbf"), "succeeded null").await;
    check(json_of(b" \r\n\t"), "succeeded null").await;
    check(ok("", b" \n"), "succeeded null").await;
    check(ok("Content-Type: text/plain\r\n", b"\xef\xbb\xbfdone"), r#"succeeded "done""#).await;
    check(ok("Content-Type: text/plain\r\n", b" \n"), r#"succeeded " \n""#).await;
}

#[tokio::test]
async fn characters_are_read_as_they_are_said_to_be_written() {
    let check = async |kind: &str, body: &[u8], expected: &str| {
        let answer = written(ok(&format!("Content-Type: {kind}\r\n"), body)).await;
        assert_eq!(summary(&answer), expected, "{kind} {body:?}");
    };
    check("text/plain; charset=iso-8859-1", b"\xfcber", r#"succeeded "über""#).await;
    check("text/plain;charset=\"ISO-8859-15\"", b"\xa4", r#"succeeded "€""#).await;
    check("text/plain; charset=windows-1252", b"\x80", r#"succeeded "€""#).await;
    check("text/plain; charset=Shift_JIS", b"\x83n", r#"succeeded "ハ""#).await;
    check("text/plain; charset=utf-16", b"\xff\xfeo\0k\0", r#"succeeded "ok""#).await;
    check("application/json", b"\xfe\xff\0{\0}", "succeeded {}").await;
    check("application/json; charset=iso-8859-1", b"\"\xfc\"", r#"succeeded "ü""#).await;
    check("application/json;charset=ISO-8859-1", "\"ü\"".as_bytes(), r#"succeeded "ü""#).await;
    check("application/json; charset=utf-16le", b"{\0}\0", "succeeded {}").await;
    // The bytes do not say which characters were meant.
    check("text/plain; charset=iso-8859-1", b"\x80", "unknown answer.text").await;
    check("text/plain; charset=iso-8859-1", "ü".as_bytes(), "unknown answer.text").await;
    check("text/plain; charset=utf-7", b"+APw-", "unknown answer.text").await;
    check("text/plain; charset=utf-8; charset=latin1", b"x", "unknown answer.content_type").await;
    check("application/json", b"{\0}\0", "unknown answer.json").await;
    check("application/json", b"\xff\xfe\0\0{\0\0\0}\0\0\0", "unknown answer.text").await;
}

#[tokio::test]
async fn json_has_more_names_than_one_and_gateways_join_headers() {
    for kind in ["text/json", "application/x-json", "application/hal+json", "Application/JSON ;charset=utf-8"] {
        let answer = written(ok(&format!("Content-Type: {kind}\r\n"), b"{\"id\":7}")).await;
        assert_eq!(summary(&answer), r#"succeeded {"id":7}"#, "{kind}");
    }
    let twice = "Content-Type: application/json; charset=utf-8, application/json; charset=utf-8\r\n";
    assert_eq!(summary(&written(ok(twice, b"7")).await), "succeeded 7");
    let different = "Content-Type: application/json, text/plain\r\n";
    assert_eq!(summary(&written(ok(different, b"7")).await), "unknown answer.content_type");
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("in memory");
    encoder.finish().expect("in memory")
}

#[tokio::test]
async fn what_comes_compressed_is_read_although_nobody_asked() {
    let body = br#"{"id":7}"#;
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(body).expect("in memory");
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(body).expect("in memory");
    let check = async |coding: &str, body: Vec<u8>, expected: &str| {
        let headers = format!("Content-Type: application/json\r\n{coding}\r\n");
        assert_eq!(summary(&written(ok(&headers, &body)).await), expected, "{coding}");
    };
    let id = r#"succeeded {"id":7}"#;
    check("Content-Encoding: gzip", gzip(body), id).await;
    check("Content-Encoding: X-GZip", gzip(body), id).await;
    check("Content-Encoding: deflate", zlib.finish().expect("in memory"), id).await;
    check("Content-Encoding: deflate", deflate.finish().expect("in memory"), id).await;
    check("Content-Encoding: gzip, gzip", gzip(&gzip(body)), id).await;
    check("Content-Encoding: gzip", gzip(b""), "succeeded null").await;
    // A proxy took it off and left the header.
    check("Content-Encoding: gzip", body.to_vec(), "unknown answer.encoding").await;
    check("Content-Encoding: gzip", gzip(body)[..20].to_vec(), "unknown answer.encoding").await;
    check("Content-Encoding: br", b"\x0b\x03\x80".to_vec(), "unknown answer.encoding").await;
    // The other way round: the body is compressed and no header says so.
    check("X-Nothing: 1", gzip(body), "unknown answer.json").await;
}

#[tokio::test]
async fn what_is_small_while_it_is_compressed_may_be_too_large() {
    let bomb = gzip(&vec![b' '; 4 * 1024 * 1024]);
    let answer = written(ok("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", &bomb)).await;
    assert_eq!(summary(&answer), "unknown answer.size");
}

#[tokio::test]
async fn a_transfer_coding_is_taken_off_too() {
    let body = gzip(b"7");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
    let bytes = [head.as_bytes(), format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    assert_eq!(summary(&written(bytes).await), "succeeded 7");
}

#[tokio::test]
async fn many_headers_and_folded_ones_are_read() {
    let many: String = (0..500).map(|number| format!("X-Trace-{number}: {number}\r\n")).collect();
    assert_eq!(summary(&written(ok(&many, b"7")).await), "succeeded 7");
    let folded = "HTTP/1.1 202 Accepted\r\nLocation: /api\r\n /jobs\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(summary(&written(folded).await), r#"ongoing Some("/api%20/jobs")"#, "a fold is a space");
    let folded = "HTTP/1.1 200 OK\r\nContent-Type: application/json;\r\n\tcharset=utf-8\r\nContent-Length: 1\r\n\r\n7";
    assert_eq!(summary(&written(folded).await), "succeeded 7");
    let spaced = "HTTP/1.1 200 OK\r\nContent-Type : application/json\r\nContent-Length: 1\r\n\r\n7";
    assert_eq!(summary(&written(spaced).await), "succeeded 7");
    let too_many: String = (0..2_000).map(|number| format!("X-Trace-{number}: {number}\r\n")).collect();
    assert_eq!(summary(&written(ok(&too_many, b"7")).await), "unknown answer.http");
}

#[tokio::test]
async fn what_is_no_answer_says_what_it_is() {
    let check = async |bytes: &[u8], words: &str| {
        let answer = written(bytes).await;
        assert_eq!(summary(&answer), "unknown answer.http", "{bytes:?}");
        assert!(message(&answer).contains(words), "{}", message(&answer));
    };
    check(b"ICY 200 OK\r\n\r\n", "it begins with `ICY 200 OK`").await;
    check(b"SSH-2.0-OpenSSH_9.2\r\n", "it begins with `SSH-2.0-OpenSSH_9.2`").await;
    check(b"\x15\x03\x03\x00\x02\x02\x46", "it is TLS").await;
    check(b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04", "it is HTTP/2").await;
    check(b"<html>\r\n\r\n", "it begins with `<html>`").await;
    check(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        "its Content-Length is no number, or it has several",
    )
    .await;
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "X-A: 1\r\n".repeat(1_500));
    check(many.leak().as_bytes(), "more than 1024 headers").await;
    check(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n7\r\n0\r\n\r\n", "not written as its head says")
        .await;
    check(b"HTTP/1.1 200 OK\r\nBroken header\r\n\r\n", "header").await;
}

#[tokio::test]
async fn what_is_no_json_says_what_it_is() {
    let check = async |body: &[u8], words: &str| {
        let answer = written(json_of(body)).await;
        assert_eq!(summary(&answer), "unknown answer.json", "{body:?}");
        assert!(message(&answer).contains(words), "{}", message(&answer));
    };
    check(b"<!DOCTYPE html><title>Sign in</title>", "it is a page in HTML").await;
    check(b"<ok/>", "it is XML").await;
    check(b"{\"score\": NaN}", "where `NaN}` stands").await;
    check(b"{'id': 7}", "where `'id': 7}` stands").await;
    check(b")]}',\n{\"id\":7}", "a guard against scripts").await;
    check(b"{\"id\":", "ends too early").await;
    check(b"{\"id\":7}{\"id\":8}", "where `{\"id\":8}` stands").await;
    let twice = written(json_of(br#"{"id":7,"id":8}"#)).await;
    assert_eq!(summary(&twice), "unknown answer.repeated_name");
    assert!(message(&twice).contains("`id` occurs twice"), "{}", message(&twice));
}

#[tokio::test]
async fn statuses_that_nobody_should_answer_with_are_no_success() {
    let check = async |bytes: &[u8], expected: &str, words: &str| {
        let answer = written(bytes).await;
        assert_eq!(summary(&answer), expected);
        assert!(message(&answer).contains(words), "{}", message(&answer));
    };
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    check(switched, "unknown http.101", "another protocol").await;
    let part = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-0/9\r\nContent-Length: 1\r\n\r\n7";
    check(part, "unknown http.206", "a part of an answer").await;
    let sent_on = b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n";
    check(sent_on, "unknown http.302", "it names `/login`").await;
    let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n7";
    assert_eq!(summary(&written(hints).await), "succeeded 7", "what comes before an answer is none");
}

#[tokio::test]
async fn the_body_of_a_failure_is_told_in_its_characters() {
    let body = gzip("zu spät".as_bytes());
    let head = format!("HTTP/1.1 422 No\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
    assert_eq!(message(&written([head.as_bytes(), &body].concat()).await), "zu spät");
    let latin = b"HTTP/1.1 422 No\r\nContent-Type: text/plain; charset=latin1\r\nContent-Length: 3\r\n\r\nsp\xe4";
    assert_eq!(message(&written(latin).await), "spä");
    let binary = b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n\xff\xff";
    assert!(message(&written(binary).await).starts_with("(its body cannot be read: "));
}
