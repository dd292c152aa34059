//! The terminal: a separate thread writes, so that the engine does not wait for a slow or stopped terminal.

use crate::visible;
use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

/// Lines in the queue: some seconds of a busy run. Further lines are left out and counted.
const WAITING: usize = 8192;
/// A business key is padded to this: the sample orders' longest.
const KEY_WIDTH: usize = 24;
/// A step's name is padded to this: the shipped sagas' longest.
const STEP_WIDTH: usize = 8;

/// Whether to write colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColourMode {
    /// The output is a terminal.
    Colour,
    /// The output is a file or a pipe, or `NO_COLOR` is set.
    Plain,
}

/// The kind of a line: a sign and a colour. The text of the line says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NarrationMark {
    Begin,
    Send,
    Good,
    Bad,
    Back,
    Undone,
    Wait,
    Skip,
    Parked,
    Ended,
    EndedUndone,
}

/// One line about one saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NarrationLine {
    /// The step, or empty.
    pub(super) step: String,
    pub(super) mark: NarrationMark,
    pub(super) text: String,
}

/// A handle of the thread. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct TerminalWriter {
    lines: mpsc::SyncSender<TerminalMessage>,
    palette: ColourMode,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum TerminalMessage {
    Write(String),
    End(mpsc::SyncSender<()>),
}

impl TerminalWriter {
    /// Writes to stdout.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn stdout() -> io::Result<TerminalWriter> {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let palette = if io::stdout().is_terminal() && !no_colour { ColourMode::Colour } else { ColourMode::Plain };
        TerminalWriter::to(io::stdout(), palette)
    }

    /// Writes to `out`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn to(out: impl Write + Send + 'static, palette: ColourMode) -> io::Result<TerminalWriter> {
        let (lines, orders) = mpsc::sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        thread::Builder::new().name("terminal".into()).spawn(move || write(out, &orders, &counted))?;
        Ok(TerminalWriter { lines, palette, lost })
    }

    /// Shows lines of text as they are.
    pub(super) fn say(&self, text: &str) {
        self.put(format!("{text}\n"));
    }

    /// Shows a fact about the saga with this key. Returns at once, whatever the terminal does.
    pub(super) fn show(&self, seconds: f64, key: &str, fact: &NarrationLine) {
        self.put(self.line(seconds, key, fact));
    }

    /// Waits until everything is written. Nothing is shown after that.
    pub(super) async fn end(&self) {
        let (done, written) = mpsc::sync_channel(1);
        let lines = self.lines.clone();
        let waited = tokio::task::spawn_blocking(move || {
            // A thread that has ended has nothing left to write.
            if lines.send(TerminalMessage::End(done)).is_ok() {
                let _ = written.recv();
            }
        });
        drop(waited.await);
    }

    fn put(&self, text: String) {
        if self.lines.try_send(TerminalMessage::Write(text)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn line(&self, seconds: f64, key: &str, NarrationLine { step, mark, text }: &NarrationLine) -> String {
        let (sign, colour) = mark.look();
        // Both hold text of strangers, which must not control the terminal.
        let (key, text) = (visible::in_line(key), visible::in_line(text));
        let head = format!("{seconds:>7.1} s  {key:<KEY_WIDTH$}  {step:<STEP_WIDTH$}  ");
        match self.palette {
            ColourMode::Colour => format!("\x1b[2m{head}\x1b[0m\x1b[{colour}m{sign} {text}\x1b[0m\n"),
            ColourMode::Plain => format!("{head}{sign} {text}\n"),
        }
    }
}

impl NarrationMark {
    /// The sign, and the colour's number.
    fn look(self) -> (char, u8) {
        match self {
            NarrationMark::Begin => ('●', 1),
            NarrationMark::Send => ('→', 0),
            NarrationMark::Good => ('✓', 32),
            NarrationMark::Bad => ('✗', 31),
            NarrationMark::Back => ('↶', 33),
            NarrationMark::Undone => ('↺', 33),
            NarrationMark::Wait => ('…', 36),
            NarrationMark::Skip => ('–', 2),
            NarrationMark::Parked => ('!', 35),
            NarrationMark::Ended => ('■', 32),
            NarrationMark::EndedUndone => ('■', 33),
        }
    }
}

/// Writes until the end message, or until all handles are dropped. A closed output does not stop the run.
fn write(mut out: impl Write, orders: &mpsc::Receiver<TerminalMessage>, lost: &AtomicU64) {
    while let Ok(order) = orders.recv() {
        match order {
            TerminalMessage::Write(text) => drop(out.write_all(text.as_bytes())),
            TerminalMessage::End(done) => {
                drop(out.flush());
                let _ = done.send(());
                return;
            }
        }
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            lines => drop(writeln!(out, "  … {lines} lines are left out: the terminal is too slow for them")),
        }
    }
}

/// What was written, for tests.
#[cfg(test)]
#[derive(Clone, Debug)]
pub(super) struct WrittenLines(Arc<tokio::sync::watch::Sender<String>>);

#[cfg(test)]
impl WrittenLines {
    pub(super) fn new() -> WrittenLines {
        WrittenLines(Arc::new(tokio::sync::watch::Sender::default()))
    }

    pub(super) fn text(&self) -> String {
        self.0.borrow().clone()
    }

    /// Waits until all of it together fulfils `condition`.
    pub(super) async fn until(&self, condition: impl Fn(&str) -> bool) {
        let mut text = self.0.subscribe();
        text.wait_for(|text| condition(text)).await.expect("this holds the sender");
    }
}

#[cfg(test)]
impl Write for WrittenLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_modify(|text| text.push_str(&String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact() -> NarrationLine {
        NarrationLine { step: "charge".into(), mark: NarrationMark::Good, text: "done".into() }
    }

    #[tokio::test]
    async fn facts_are_aligned_and_in_order() {
        let written = WrittenLines::new();
        let terminal = TerminalWriter::to(written.clone(), ColourMode::Plain).expect("a thread");
        terminal.show(0.44, "order-a-001", &fact());
        terminal.show(12.0, "order-a-002", &NarrationLine { step: String::new(), ..fact() });
        terminal.end().await;
        let text = written.text();
        let columns: Vec<usize> = text.lines().map(|line| line.find('✓').expect("a sign")).collect();
        assert_eq!(columns.len(), 2);
        assert_eq!(columns[0], columns[1], "{text}");
        assert!(text.starts_with("    0.4 s  order-a-001"), "{text}");
    }

    #[tokio::test]
    async fn only_a_terminal_sees_colour() {
        for (palette, coloured) in [(ColourMode::Plain, false), (ColourMode::Colour, true)] {
            let written = WrittenLines::new();
            let terminal = TerminalWriter::to(written.clone(), palette).expect("a thread");
            terminal.show(0.0, "order", &fact());
            terminal.end().await;
            assert_eq!(written.text().contains('\x1b'), coloured);
        }
    }
}
