//! The writer of log lines. Text of strangers can neither control the terminal of a reader nor look like a line of its
//! own, and no line shows a secret of the configuration.

use super::LogFormat;
use crate::visible;
use saga_base::secrets;
use std::io::{self, Write};

/// Takes one event per write, as `tracing_subscriber` brings them.
#[derive(Debug)]
pub(super) struct LogLineWriter<W> {
    out: W,
    format: LogFormat,
}

impl<W: Write> LogLineWriter<W> {
    pub(super) fn new(out: W, format: LogFormat) -> LogLineWriter<W> {
        LogLineWriter { out, format }
    }
}

impl<W: Write> Write for LogLineWriter<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        self.out.write_all(printed(&secrets::covered(&text), self.format).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn printed(event: &str, format: LogFormat) -> String {
    let event = event.strip_suffix('\n').unwrap_or(event);
    match format {
        // Only the first line of an event begins at the margin.
        LogFormat::Text => format!("{}\n", visible::in_lines(event).replace('\n', "\n    ")),
        LogFormat::Json => format!("{}\n", visible::in_json(event)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: LogFormat, event: &str) -> String {
        let mut out = Vec::new();
        LogLineWriter::new(&mut out, format).write_all(event.as_bytes()).expect("a vector takes all");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_text_that_looks_like_a_log_line_does_not_begin_one() {
        let event = "2026-01-01 WARN refused key=\"o-1\n2026-01-01 ERROR the store is lost\x1b[2J\"\n";
        let text = written(LogFormat::Text, event);
        assert_eq!(text, "2026-01-01 WARN refused key=\"o-1\n    2026-01-01 ERROR the store is lost\\u001b[2J\"\n");
    }

    #[test]
    fn a_line_of_json_stays_one() {
        let event = format!("{}\n", serde_json::json!({"message": "\u{9b}31m\n"}));
        let text = written(LogFormat::Json, &event);
        assert_eq!(text, "{\"message\":\"\\u009b31m\\n\"}\n");
    }
}
