//! `guard watch`: the event stream, one line per guard event.

use super::{GuardWatchArgs, encoded, output, print};
use crate::cli::OutputFormat;
use anyhow::Context;
use bytes::BytesMut;
use serde_json::Value;
use std::{iter, process::ExitCode};
use tokio_util::codec::{Decoder, LinesCodec};

/// The longest line of the stream: many times the size of an event with the longest reason.
const MAX_LINE: usize = 64 * 1024;

/// The text when the stream breaks off.
const LOST: &str = "the connection to the engine is lost; guard events after that are not shown";

pub(super) async fn watch(args: GuardWatchArgs) -> anyhow::Result<ExitCode> {
    let whose = args.participant.as_deref().map(|name| format!("?participant={}", encoded(name))).unwrap_or_default();
    let mut response = args.server.open()?.follow(&format!("/api/guards/events{whose}")).await?;
    output::note("following the guard events of this engine from now on");
    let mut lines = SseLineBuffer::new();
    while let Some(chunk) = response.chunk().await.context(LOST)? {
        for line in lines.take(&chunk)? {
            if !show(&line, args.output)? {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    output::note("the engine ended the stream");
    Ok(ExitCode::SUCCESS)
}

/// Shows a data line; names of events, comments and empty lines have no data. False: the reader of stdout has closed
/// it.
fn show(line: &str, output: OutputFormat) -> anyhow::Result<bool> {
    let Some(data) = line.strip_prefix("data:") else { return Ok(true) };
    let data: Value = serde_json::from_str(data.trim())?;
    match data.get("missed") {
        Some(missed) => {
            output::note(&format!("{missed} guard events are missing: this reader is too slow"));
            Ok(true)
        }
        None => output::next(&data, output, print::change),
    }
}

/// Turns chunks of bytes into whole lines.
struct SseLineBuffer {
    codec: LinesCodec,
    read: BytesMut,
}

impl SseLineBuffer {
    fn new() -> SseLineBuffer {
        SseLineBuffer { codec: LinesCodec::new_with_max_length(MAX_LINE), read: BytesMut::new() }
    }

    /// The lines that `chunk` completes, without their line breaks.
    fn take(&mut self, chunk: &[u8]) -> anyhow::Result<Vec<String>> {
        self.read.extend_from_slice(chunk);
        let lines = iter::from_fn(|| self.codec.decode(&mut self.read).transpose());
        lines.collect::<Result<_, _>>().context("an engine does not send such a line")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_come() {
        let mut lines = SseLineBuffer::new();
        assert_eq!(lines.take(b"event: change\ndata: {\"a\"").expect("short"), ["event: change"]);
        assert_eq!(lines.take(b":1}\r\n\n").expect("short"), ["data: {\"a\":1}", ""]);
        assert!(lines.take(&vec![b'x'; MAX_LINE + 1]).is_err());
    }
}
