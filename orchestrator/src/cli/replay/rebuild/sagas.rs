//! `replay rebuild sagas`: writes the rows of the list of sagas that say something else than the journals.

use super::{
    super::super::{OutputFormat, output, recorded, server, store::StoreReadArgs},
    RebuildArgs, ReplayMeter, stopped, unless_stopped,
};
use anyhow::Context;
use indicatif::HumanCount;
use saga_engine::replay::repair::{
    self, RepairEvent, RepairMode, RepairPart, RepairReport, SagaRepair, UnrepairedSaga,
};
use saga_engine::{act_log::ActedPart, projection::SAGA_LIST};
use saga_event_store::{EventStore, StoreError};
use serde::Serialize;
use serde_json::{Value, json};
use std::{cell::Cell, process::ExitCode, sync::Arc, time::Duration};

/// A line of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum RepairLine<'a> {
    Repair(&'a SagaRepair),
    Unrepaired(&'a UnrepairedSaga),
    #[serde(rename_all = "camelCase")]
    Report {
        #[serde(flatten)]
        report: &'a RepairReport,
        dry_run: bool,
    },
}

/// Prints what a repair tells.
struct RepairPrinter {
    mode: RepairMode,
    output: OutputFormat,
    meter: ReplayMeter,
}

impl RepairPrinter {
    fn repaired(&self, repair: &SagaRepair) -> anyhow::Result<()> {
        self.meter.beside(|| output::one(&RepairLine::Repair(repair), self.output, |_| repair_text(repair)))
    }

    fn unrepaired(&self, it: &UnrepairedSaga) -> anyhow::Result<()> {
        let text = |_: &RepairLine<'_>| format!("saga {} stays as it is: {}", it.id, it.reason);
        self.meter.beside(|| output::one(&RepairLine::Unrepaired(it), self.output, text))
    }

    fn end(&self, report: &RepairReport) -> anyhow::Result<ExitCode> {
        self.meter.end();
        let dry_run = self.mode == RepairMode::DryRun;
        let text = |_: &RepairLine<'_>| report_text(report, self.mode, self.meter.took());
        output::one(&RepairLine::Report { report, dry_run }, self.output, text)?;
        Ok(ExitCode::from(u8::from(report.unrepaired > 0)))
    }
}

pub(super) async fn rebuild(args: &RebuildArgs) -> anyhow::Result<ExitCode> {
    let mode = if args.dry_run { RepairMode::DryRun } else { RepairMode::Write };
    let printer = RepairPrinter { mode, output: args.output, meter: ReplayMeter::new("compared") };
    match open(&args.store, mode).await? {
        Ok(store) => in_store(store, &printer).await,
        Err(StoreError::Locked { .. }) => by_the_engine(args, &printer).await,
        Err(error) => Err(error).context("the event store cannot be opened (key `store`)"),
    }
}

/// A dry run only reads.
async fn open(args: &StoreReadArgs, mode: RepairMode) -> anyhow::Result<Result<Arc<dyn EventStore>, StoreError>> {
    match mode {
        RepairMode::DryRun => Ok(Ok(args.open().await?)),
        RepairMode::Write => args.open_to_write().await,
    }
}

async fn in_store(store: Arc<dyn EventStore>, printer: &RepairPrinter) -> anyhow::Result<ExitCode> {
    if printer.mode == RepairMode::Write {
        recorded::act(store.as_ref(), "rebuild list of sagas", ActedPart::SagaList, SAGA_LIST).await?;
    }
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut printed, compared) = (Ok(()), Cell::new(0));
    let report = repair::repair(store, printer.mode, workers, |event| {
        let result = match event {
            RepairEvent::Progress(progress) => {
                compared.set(progress.sagas);
                printer.meter.show(progress);
                Ok(())
            }
            RepairEvent::Repaired(it) => printer.repaired(&it),
            RepairEvent::Unrepaired(it) => printer.unrepaired(&it),
        };
        printed = std::mem::replace(&mut printed, Ok(())).and(result);
    });
    let Some(report) = unless_stopped(report).await else {
        printer.meter.end();
        return Ok(stopped(&format!(
            "{} sagas are compared, and what differed is written",
            HumanCount(compared.get())
        )));
    };
    let report = report.context("the event store was not read to its end; run the command again")?;
    printed?;
    printer.end(&report)
}

/// An engine has the file: it repairs a part for each request.
async fn by_the_engine(args: &RebuildArgs, printer: &RepairPrinter) -> anyhow::Result<ExitCode> {
    let client = server::ServerArgs::of(args.server.clone(), args.store.file.clone()).open()?;
    let (mut report, mut after) = (RepairReport::default(), None::<String>);
    loop {
        let mut body = json!({"dryRun": args.dry_run, "who": null});
        if let Some(after) = &after {
            body["after"] = Value::from(after.as_str());
        }
        let part = client.post("/api/projections/sagas/rebuild", &body).await?;
        let part: RepairPart = serde_json::from_value(part).context(server::NEWER_ENGINE)?;
        part.repairs.iter().try_for_each(|it| printer.repaired(it))?;
        part.unrepaired.iter().try_for_each(|it| printer.unrepaired(it))?;
        report.add(&part.report);
        after = part.next;
        if after.is_none() {
            return printer.end(&report);
        }
    }
}

fn repair_text(repair: &SagaRepair) -> String {
    let SagaRepair { id, key, version, changes, .. } = repair;
    let change = |it: &repair::FieldRepair| {
        let was = if it.was.is_null() && it.field == "row" { "missing".to_owned() } else { it.was.to_string() };
        format!("\n  {}  was {was}, is {}", it.field, it.is)
    };
    format!("saga {id} (key {key}), version {version}{}", changes.iter().map(change).collect::<String>())
}

fn report_text(report: &RepairReport, mode: RepairMode, took: Duration) -> String {
    let RepairReport { sagas, repaired, reopened, unrepaired } = *report;
    let written = match mode {
        RepairMode::DryRun => "rows would be written",
        RepairMode::Write => "rows are written",
    };
    let mut text =
        format!("{} sagas in {:.1} s; {} {written}", HumanCount(sagas), took.as_secs_f64(), HumanCount(repaired));
    if reopened > 0 {
        text.push_str(&format!(
            "\n{} of these sagas go on and were not in the list of open sagas. Engines that took over their shards before \
             do not know them: restart these engines",
            HumanCount(reopened)
        ));
    }
    if unrepaired > 0 {
        text.push_str(&format!("\n{} sagas stay as they are", HumanCount(unrepaired)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_engine::replay::repair::FieldRepair;

    #[test]
    fn a_repair_names_the_saga_and_what_changes() {
        let status = FieldRepair { field: "status".into(), was: json!("parked"), is: json!("completed") };
        let row = FieldRepair { field: "row".into(), was: Value::Null, is: json!({"status": "running"}) };
        let it = SagaRepair {
            id: "01a1fd79-2b8e-7002-908c-c8bc2b40dbf8".into(),
            key: "4711".into(),
            shard: 2,
            version: 4,
            changes: vec![status, row],
            reopened: true,
        };
        let expected = "saga 01a1fd79-2b8e-7002-908c-c8bc2b40dbf8 (key 4711), version 4\n  status  was \"parked\", is \
                        \"completed\"\n  row  was missing, is {\"status\":\"running\"}";
        assert_eq!(repair_text(&it), expected);
    }

    #[test]
    fn the_report_says_what_was_written_and_what_is_to_be_done() {
        let report = RepairReport { sagas: 1_200, repaired: 2, reopened: 1, unrepaired: 1 };
        let text = report_text(&report, RepairMode::DryRun, Duration::from_secs(2));
        assert!(text.starts_with("1,200 sagas in 2.0 s; 2 rows would be written\n1 of these sagas go on"), "{text}");
        assert!(text.ends_with("restart these engines\n1 sagas stay as they are"), "{text}");
    }
}
