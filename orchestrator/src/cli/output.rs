//! The one place that prints data. Control characters in text of strangers (events, participants) are written out, so
//! that none steers the terminal.

use super::OutputFormat;
use crate::visible;
use saga_base::secrets;
use serde::Serialize;
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Prints lines of data.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    line_is_taken(text).map(drop)
}

/// Prints lines of data; false: the reader of stdout has closed it.
fn line_is_taken(text: &str) -> anyhow::Result<bool> {
    match writeln!(io::stdout().lock(), "{}", visible::in_lines(text)) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => {
            written?;
            Ok(true)
        }
    }
}

/// Prints the next value of a stream; false: the reader of stdout has closed it.
pub(super) fn next<T: Serialize>(
    value: &T,
    output: OutputFormat,
    table: impl FnOnce(&T) -> String,
) -> anyhow::Result<bool> {
    match output {
        OutputFormat::Table => line_is_taken(&table(value)),
        OutputFormat::Json => line_is_taken(&json(value)?),
        OutputFormat::Yaml => line_is_taken(&format!("---\n{}", yaml(value)?.trim_end())),
    }
}

/// Prints one value as JSON, as YAML, or by `table`.
pub(super) fn one<T: Serialize>(
    value: &T,
    output: OutputFormat,
    table: impl FnOnce(&T) -> String,
) -> anyhow::Result<()> {
    match output {
        OutputFormat::Table => line(table(value).trim_end()),
        OutputFormat::Json => line(&json(value)?),
        OutputFormat::Yaml => line(yaml(value)?.trim_end()),
    }
}

/// Prints a list: one JSON object per line, one YAML document each, or a table.
pub(super) fn many<T: Serialize>(
    values: &[T],
    output: OutputFormat,
    table: impl FnOnce(&[T]) -> String,
) -> anyhow::Result<()> {
    match output {
        OutputFormat::Table => line(table(values).trim_end()),
        OutputFormat::Json => values.iter().try_for_each(|value| line(&json(value)?)),
        OutputFormat::Yaml => values.iter().try_for_each(|value| line(&format!("---\n{}", yaml(value)?.trim_end()))),
    }
}

/// JSON in one line.
fn json<T: Serialize>(value: &T) -> anyhow::Result<String> {
    Ok(visible::in_json(&serde_json::to_string(value)?).into_owned())
}

/// JSON is YAML: keys in order and quoted text, laid out for reading.
///
/// serde-saphyr's serialiser cannot write it: serde_json keeps numbers as text, which another serialiser sees as a map
/// with a private key. And every sign that [`visible`] hides has to be escaped here.
fn yaml<T: Serialize>(value: &T) -> anyhow::Result<String> {
    let mut out = String::new();
    write_yaml(&serde_json::to_value(value)?, 0, &mut out);
    Ok(out)
}

fn write_yaml(value: &serde_json::Value, depth: usize, out: &mut String) {
    use serde_json::Value;
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                out.push_str(&format!("{indent}{}:", yaml_key(name)));
                write_child(field, depth, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&format!("{indent}-"));
                write_child(item, depth, out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            out.push_str(&format!("{indent}{}\n", scalar(value)));
        }
    }
}

fn scalar(value: &serde_json::Value) -> String {
    visible::in_json(&value.to_string()).into_owned()
}

/// A key that YAML could read as another type is quoted, as JSON quotes it.
fn yaml_key(name: &str) -> String {
    let is_word = name.starts_with(|sign: char| sign.is_ascii_alphabetic() || sign == '_')
        && name.chars().all(|sign| sign.is_ascii_alphanumeric() || "_-".contains(sign))
        && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&name.to_ascii_lowercase().as_str());
    if is_word { name.to_owned() } else { scalar(&name.into()) }
}

fn write_child(value: &serde_json::Value, depth: usize, out: &mut String) {
    let is_nested = value.as_object().is_some_and(|fields| !fields.is_empty())
        || value.as_array().is_some_and(|items| !items.is_empty());
    if is_nested {
        out.push('\n');
        write_yaml(value, depth + 1, out);
    } else {
        out.push_str(&format!(" {}\n", scalar(value)));
    }
}

/// A table without rules, as wide as the terminal.
pub(super) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    table_within(width(), header, rows)
}

/// The same within `width` columns; `None`: each row is one line of any length.
pub(super) fn table_within<const N: usize>(
    width: Option<usize>,
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> =
        rows.into_iter().map(|row| row.map(|cell| visible::in_line(&cell).into_owned())).collect();
    let whole = laid_out(&header, &rows, None);
    match width {
        Some(width) if whole.lines().any(|line| line.chars().count() > width) => {
            laid_out(&header, &rows, Some(width.max(LEAST_WIDTH)))
        }
        Some(_) | None => whole,
    }
}

/// Least width of a table that can be read.
const LEAST_WIDTH: usize = 40;

/// If the width is too small, empty columns are left out first, and then cells go on in the next line.
fn laid_out<const N: usize>(header: &[&str; N], rows: &[[String; N]], width: Option<usize>) -> String {
    let says = |column: &usize| rows.is_empty() || rows.iter().any(|row| !row[*column].is_empty());
    let columns: Vec<usize> = (0..N).filter(|column| width.is_none() || says(column)).collect();
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    if let Some(width) = width {
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    table.set_header(columns.iter().map(|column| header[*column].to_uppercase()));
    for row in rows {
        table.add_row(columns.iter().map(|column| row[*column].as_str()));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Width of the terminal; `None`: stdout is not a terminal.
pub(super) fn width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// Lines of a table that its caller has laid out.
pub(super) fn joined(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// Writes an error and its causes to stderr; the exit code of a failure.
pub(super) fn failed(error: &anyhow::Error) -> ExitCode {
    note(&secrets::covered(&format!("error: {}", told(error))));
    ExitCode::from(1)
}

/// The error with its causes in one line. A cause that the text before it has in it is not said twice.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        before if before.contains(&cause) => told,
        before => format!("{before}: {cause}"),
    })
}

/// Writes a note to stderr.
pub(super) fn note(text: &str) {
    // A closed stderr leaves no place where this error could be reported.
    drop(writeln!(io::stderr().lock(), "{}", visible::in_lines(text)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cause_that_is_said_already_is_not_said_twice() {
        let system = || anyhow::anyhow!("No such file or directory (os error 2)");
        let twice = system().context("the archive a.zst cannot be read: No such file or directory (os error 2)");
        assert_eq!(told(&twice), "the archive a.zst cannot be read: No such file or directory (os error 2)");
        assert_eq!(told(&system().context("a.yaml")), "a.yaml: No such file or directory (os error 2)");
    }

    #[test]
    fn no_cell_of_a_table_begins_a_line_or_steers_the_terminal() {
        let cells = [["o-1\nparked".to_owned(), "\x1b[2Jdeclined".to_owned()]];
        let text = table(["key", "reason"], cells);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains(r"o-1\nparked") && text.contains(r"\u001b[2Jdeclined"), "{text}");
    }

    #[test]
    fn a_table_fits_the_terminal_and_loses_no_word() {
        let what = "attempt 1 failed (http.503: the service is down for maintenance until noon); attempt 2 follows";
        let rows = || [["1.0".to_owned(), "2026-11-29T08:00:00.000Z".to_owned(), String::new(), what.to_owned()]];
        let header = ["event", "time", "health", "what happened"];
        let narrow = table_within(Some(80), header, rows());
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
        assert!(what.split(' ').all(|word| narrow.contains(word)) && !narrow.contains("HEALTH"), "{narrow}");
        assert!(narrow.lines().skip(2).all(|line| line.starts_with("    ")), "no cell begins a line: {narrow}");
        for wide in [table_within(None, header, rows()), table_within(Some(200), header, rows())] {
            assert!(wide.lines().count() == 2 && wide.contains(what) && wide.contains("HEALTH"), "{wide}");
        }
    }

    #[test]
    fn yaml_holds_what_strangers_wrote_as_quoted_text() {
        let value = json!({"a: b": "\u{9b}31m", "no": ["x"], "plain_key": {"ф": 1.50}});
        let text = yaml(&value).expect("YAML");
        for expected in [r#""a: b": "\u009b31m""#, "\"no\":\n  - \"x\"", "plain_key:\n  \"ф\": 1.5"] {
            assert!(text.contains(expected), "{text}");
        }
    }
}
