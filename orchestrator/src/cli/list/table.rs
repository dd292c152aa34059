//! Sagas and groups of sagas as tables, as wide as the terminal.

use crate::{cli::output, visible};
use saga_base::clock::EngineClock;
use saga_core::time::{Timestamp, from_rfc3339};
use saga_engine::journal::{
    counts::{CountDimension, SagaGroup},
    reading::SagaLine,
};

/// Whether the names of the columns are printed: only above the first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableHeader {
    Shown,
    Left,
}

/// Least width for a useful reason, and least width of the column in any case.
const LEAST_REASON: usize = 30;
const SHORTEST_REASON: usize = 10;
/// Columns that are left out to make room for the reason, in this order: the key names the saga, and `since` says more
/// than `age`.
const MAKE_ROOM: [&str; 4] = ["id", "age", "saga", "since"];
/// Digits of a hash that tell definitions apart for people.
const SHORT_HASH: usize = 12;
/// Spaces between two columns.
const GAP: usize = 2;

/// Sagas, one per line.
pub(super) fn lines(lines: &[SagaLine], header: TableHeader) -> String {
    let now = EngineClock::Wall.now();
    let rows = lines.iter().map(|line| row(line, now)).collect();
    fitted(vec!["id", "saga", "key", "status", "step", "age", "since", "reason"], rows, output::width(), header)
}

fn row(line: &SagaLine, now: Timestamp) -> Vec<String> {
    let cells = [
        line.id.clone(),
        line.saga.clone(),
        line.key.clone(),
        line.marked_status(),
        line.steps(),
        age(&line.started_at, now),
        age(&line.since, now),
        line.reasons(),
    ];
    cells.map(|cell| visible::in_line(&cell).into_owned()).into()
}

/// Groups, the largest first.
pub(super) fn groups(groups: &[SagaGroup], by: &[CountDimension]) -> String {
    let now = EngineClock::Wall.now();
    let mut header = vec!["count"];
    header.extend(by.iter().map(|by| by.as_str()));
    header.push("since");
    let row = |group: &SagaGroup| {
        let mut cells = vec![group.count.to_string()];
        cells.extend(by.iter().map(|by| visible::in_line(&cell(group, *by)).into_owned()));
        cells.push(age(&group.oldest_since, now));
        cells
    };
    laid_out(&header, &groups.iter().map(row).collect::<Vec<_>>(), TableHeader::Shown)
}

fn cell(group: &SagaGroup, by: CountDimension) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    match by {
        CountDimension::Saga => text(&group.saga),
        CountDimension::Status => text(&group.status),
        CountDimension::Step => text(&group.step),
        CountDimension::Code => text(&group.code),
        CountDimension::WaitingOn if group.waiting_on.is_empty() => "-".to_owned(),
        CountDimension::WaitingOn => group.waiting_on.join(", "),
        CountDimension::Definition => text(&group.definition).chars().take(SHORT_HASH).collect(),
    }
}

/// How long ago, in its largest unit: `40s`, `6m`, `3h`, `12d`.
fn age(at: &str, now: Timestamp) -> String {
    let Some(at) = from_rfc3339(at) else { return String::new() };
    let seconds = now.since(at).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Cut to `width` columns; `None` if the output is not a terminal.
fn fitted(mut header: Vec<&str>, mut rows: Vec<Vec<String>>, width: Option<usize>, shown: TableHeader) -> String {
    let Some(width) = width else { return laid_out(&header, &rows, shown) };
    let beside = |header: &[&str], rows: &[Vec<String>]| -> usize {
        let widths = widths(header, rows);
        widths.iter().rev().skip(1).map(|width| width + GAP).sum()
    };
    for name in MAKE_ROOM {
        let Some(at) = header.iter().position(|column| *column == name) else { continue };
        if beside(&header, &rows) + LEAST_REASON > width {
            header.remove(at);
            rows.iter_mut().for_each(|row| drop(row.remove(at)));
        }
    }
    let room = width.saturating_sub(beside(&header, &rows)).max(SHORTEST_REASON);
    for reason in rows.iter_mut().filter_map(|row| row.last_mut()) {
        cut(reason, room);
    }
    laid_out(&header, &rows, shown)
}

fn cut(text: &mut String, room: usize) {
    if text.chars().count() > room {
        *text = text.chars().take(room.saturating_sub(1)).chain(['…']).collect();
    }
}

fn widths(header: &[&str], rows: &[Vec<String>]) -> Vec<usize> {
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.max().unwrap_or_default().max(header[column].len())
    };
    (0..header.len()).map(widest).collect()
}

fn laid_out(header: &[&str], rows: &[Vec<String>], shown: TableHeader) -> String {
    let widths = widths(header, rows);
    let names: Vec<String> = header.iter().map(|name| name.to_uppercase()).collect();
    let names = (shown == TableHeader::Shown).then_some(&names);
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    output::joined(names.into_iter().chain(rows).map(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        vec![vec!["01a1fd79-2b8e-7002-908c-c8bc2b40dbf8".into(), "4711".into(), "charge failed: http.422 ".repeat(5)]]
    }

    #[test]
    fn a_reason_is_cut_to_the_terminal_and_the_id_goes_before_it_does() {
        let table = |width| fitted(vec!["id", "key", "reason"], rows(), width, TableHeader::Shown);
        assert!(table(Some(100)).lines().all(|line| line.chars().count() <= 100), "{}", table(Some(100)));
        assert!(table(Some(100)).contains("01a1fd79") && table(Some(100)).contains('…'));
        let narrow = table(Some(60));
        assert!(!narrow.contains("01a1fd79") && narrow.contains("4711") && narrow.contains('…'), "{narrow}");
        assert!(!table(None).contains('…'));
        let row = [
            "01a1fd79-2b8e-7002-908c-c8bc2b40dbf8",
            "order-fulfillment",
            "o-4711",
            "compensating",
            "charge",
            "3m",
            "40s",
        ];
        let row: Vec<String> = row.iter().map(|cell| (*cell).to_owned()).chain(["declined ".repeat(9)]).collect();
        let header = vec!["id", "saga", "key", "status", "step", "age", "since", "reason"];
        for width in [50, 60, 80, 100] {
            let table = fitted(header.clone(), vec![row.clone()], Some(width), TableHeader::Shown);
            assert!(table.lines().all(|line| line.chars().count() <= width), "{width}:\n{table}");
            assert!(
                table.contains("o-4711") && table.contains("compensating") && table.contains("declined"),
                "{table}"
            );
        }
        assert_eq!(fitted(vec!["id", "key", "reason"], rows(), None, TableHeader::Left).lines().count(), 1);
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let told = |seconds: i64| age("1970-01-01T00:00:00.000Z", Timestamp(seconds * 1000));
        assert_eq!(
            [told(40), told(360), told(3 * 3600), told(47 * 3600), told(12 * 86_400)],
            ["40s", "6m", "3h", "47h", "12d"]
        );
    }
}
