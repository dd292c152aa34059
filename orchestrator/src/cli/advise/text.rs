//! Advice for people.

use crate::cli::output;
use indicatif::HumanCount;
use saga_engine::advice::{
    AdviceReport, BacktestResult, ForecastMeasure, ObservedLine, OutlookWord, ParticipantForecast, ParticipantTrouble,
    ReadPast, SettingAdvice, StayReason, UnchangedSetting,
};

pub(super) fn report(report: &AdviceReport) -> String {
    let mut parts = vec![read(&report.read)];
    if !report.observed.is_empty() {
        parts.push(observed(&report.observed));
    }
    let troubled: Vec<String> = report.participants.iter().filter_map(trouble).collect();
    if !troubled.is_empty() {
        parts.push(troubled.join("\n"));
    }
    if report.advice.is_empty() {
        parts.push("No setting should change.".to_owned());
    }
    parts.extend(report.advice.iter().map(advice));
    parts.extend(report.paste.iter().map(|patch| format!("paste into {}:\n{}", patch.file, patch.yaml.trim_end())));
    if !report.unchanged.is_empty() {
        parts.push(output::joined(report.unchanged.iter().map(unchanged)));
    }
    parts.extend(report.forecasts.iter().map(forecast));
    parts.join("\n\n")
}

fn read(it: &ReadPast) -> String {
    let counts = format!("{} sagas with {} events", HumanCount(it.sagas), HumanCount(it.events));
    let range = match (&it.from, &it.to) {
        (Some(from), Some(to)) => format!(", from {from} to {to}"),
        (None, _) | (_, None) => String::new(),
    };
    let mut lines = vec![format!("{counts}{range}")];
    if it.skipped > 0 {
        lines.push(format!("{} journals cannot be read and are left out:", it.skipped));
        lines.extend(it.skipped_journals.iter().map(|journal| format!("  {}: {}", journal.saga, journal.reason)));
    }
    lines.extend(it.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

fn observed(lines: &[ObservedLine]) -> String {
    let row = |it: &ObservedLine| {
        let count = |count: u64| if count == 0 { String::new() } else { HumanCount(count).to_string() };
        let ms = |ms: Option<u64>| ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
        let direction = if it.direction == "do" { String::new() } else { format!(" ({})", it.direction) };
        [
            it.participant.clone(),
            format!("{}/{}{direction}", it.saga, it.step),
            count(it.attempts),
            count(it.failures.values().sum()),
            count(it.failures.get("timeout").copied().unwrap_or_default()),
            count(it.late_answers),
            ms(it.p50_ms),
            ms(it.p95_ms),
            ms(it.p99_ms),
            count(it.waits.values().sum()),
            count(it.exhausted),
            count(it.compensated),
        ]
    };
    let columns = [
        "participant",
        "step",
        "attempts",
        "failed",
        "timeouts",
        "late",
        "p50",
        "p95",
        "p99",
        "held",
        "gave up",
        "undone",
    ];
    output::table(columns, lines.iter().map(row))
}

/// `None`: nothing happened to it.
fn trouble(it: &ParticipantTrouble) -> Option<String> {
    let outage = it.latest_outages.last().map(|last| format!(", the last from {} to {}", last.from, last.to));
    let breaker = it.latest_openings.last().map_or("the breaker never opened".to_owned(), |last| {
        let (times, needless) = (it.openings, it.openings_without_outage);
        format!("the breaker opened {times} times, the last at {}, {needless} of them without an outage", last.at)
    });
    (it.outages + it.openings > 0)
        .then(|| format!("{}: {} outages{}; {breaker}", it.participant, it.outages, outage.unwrap_or_default()))
}

fn advice(it: &SettingAdvice) -> String {
    format!(
        "{}: {}, {}: {} → {}\n  because   {}\n  expected  {}\n  confidence {}",
        it.place,
        it.scope,
        it.setting.as_str(),
        it.present,
        it.advised,
        it.because,
        it.effect,
        it.confidence.as_str()
    )
}

fn unchanged(it: &UnchangedSetting) -> String {
    let verdict = match it.reason {
        StayReason::Fits => "stays",
        StayReason::NotEnoughEvidence => "not enough evidence",
    };
    format!("{}, {}: {} ({verdict}): {}", it.scope, it.setting.as_str(), it.present, it.because)
}

fn forecast(it: &ParticipantForecast) -> String {
    let outlook = match it.outlook {
        OutlookWord::NotEnoughEvidence => "no forecast: too few calls in the last half hour".to_owned(),
        OutlookWord::Failing => "fails already".to_owned(),
        OutlookWord::Steady => "no trend leads to a failure within 30 minutes".to_owned(),
        OutlookWord::LikelyToFail => format!(
            "likely to fail within {} minutes: {}",
            it.within_minutes.unwrap_or_default(),
            match it.measure {
                Some(ForecastMeasure::Latency) => format!("its latency grows towards {}", it.fails_at_latency),
                Some(ForecastMeasure::Errors) | None => {
                    format!("its errors grow towards {:.0} %", it.fails_at_error_share * 100.0)
                }
            }
        ),
    };
    format!("forecast for {}: {outlook}\n  {}", it.participant, past(it))
}

/// How often such forecasts came true.
fn past(it: &ParticipantForecast) -> String {
    let past = &it.past;
    let looked_at = format!("{} spans of five minutes had enough calls, with {} failures", past.buckets, past.failures);
    if past.failures == 0 && past.trend.forecasts == 0 {
        return format!("in the past: {looked_at}: how often a forecast comes true cannot be told");
    }
    let few = if past.is_enough { "" } else { "; too few failures for these figures to mean much" };
    format!(
        "in the past: {looked_at}\n  by the trend       {}\n  by the last value  {}{few}",
        result(&past.trend, past.failures),
        result(&past.last_value, past.failures)
    )
}

fn result(it: &BacktestResult, failures: u64) -> String {
    let percent = |share: Option<f64>| share.map(|share| format!(" ({:.0} %)", share * 100.0)).unwrap_or_default();
    let lead = it.median_lead_minutes.map(|lead| format!(", half of them {lead:.0} minutes before or earlier"));
    format!(
        "{} of {} forecasts came true{}{}; {} of {failures} failures were forecast{}",
        it.came_true,
        it.forecasts,
        percent(it.precision),
        lead.unwrap_or_default(),
        failures - it.missed.min(failures),
        percent(it.recall)
    )
}
