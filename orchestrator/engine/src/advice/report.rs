//! What is said: advice with its evidence, the YAML to paste, forecasts, and what was read for them.

use super::{
    backtest::{self, ForecastRecord},
    forecast::{self, FailureLimits, FailureOutlook, ForecastMeasure},
    latency::{LatencyHistogram, QUANTILE_ERROR},
    observed::{CommandObservations, ObservedPast, SkippedJournal},
    present::PresentSettings,
    series::{self, HEALTH_BUCKET, ParticipantSeries},
    setting::{SettingKey, SettingScope, span_text},
    verdict::{AdviceConfidence, JudgedSetting, RuleVerdict},
    yaml_patch::{self, YamlPatch},
};
use saga_core::{
    definition::participants::HTTP_TIMEOUT,
    time::{Timestamp, rfc3339},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything that `saga advise` says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdviceReport {
    /// What was read.
    pub read: ReadPast,
    /// By how much a quantile of latency may be too high, as a share of it.
    pub quantile_error: f64,
    /// What was observed, by participant, definition, step and direction.
    pub observed: Vec<ObservedLine>,
    /// What happened to each participant as a whole.
    pub participants: Vec<ParticipantTrouble>,
    /// Settings that should have another value.
    pub advice: Vec<SettingAdvice>,
    /// Settings that stay, and why.
    pub unchanged: Vec<UnchangedSetting>,
    /// The advised values as YAML, by file.
    pub paste: Vec<YamlPatch>,
    /// Whether participants are about to fail, and how often such forecasts came true.
    pub forecasts: Vec<ParticipantForecast>,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadPast {
    /// Sagas whose journals were read.
    pub sagas: u64,
    /// Their events.
    pub events: u64,
    /// The earliest time in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The latest time in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Journals that cannot be read, which were passed over.
    pub skipped: u64,
    /// Some of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped_journals: Vec<SkippedJournal>,
    /// Why definitions, or what a participants.yaml would say, could not be taken into account.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What was observed of one command.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedLine {
    /// Who performs it.
    pub participant: String,
    /// The definition.
    pub saga: String,
    /// The step.
    pub step: String,
    /// `do` or `undo`.
    pub direction: &'static str,
    /// Attempts that were made.
    pub attempts: u64,
    /// Commands that succeeded.
    pub succeeded: u64,
    /// Attempts that failed, by class.
    pub failures: BTreeMap<&'static str, u64>,
    /// Answers that came when nobody waited for them any more.
    pub late_answers: u64,
    /// Half of the answers take at most so many milliseconds, at most one part in 32 too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<u64>,
    /// 95 in 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<u64>,
    /// 99 in 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<u64>,
    /// Share of the attempts with this number that succeeded, from the first on.
    pub success_by_attempt: Vec<f64>,
    /// How often guards held it back, by guard.
    pub waits: BTreeMap<&'static str, u64>,
    /// 95 in 100 of these waits took at most so many milliseconds.
    pub wait_p95_ms: BTreeMap<&'static str, u64>,
    /// Commands whose attempts were used up.
    pub exhausted: u64,
    /// Sagas that were compensated because of it.
    pub compensated: u64,
    /// Sagas that were parked because of it.
    pub parked: u64,
}

/// Outages of a participant, and openings of its breaker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantTrouble {
    /// The participant.
    pub participant: String,
    /// How many outages there were.
    pub outages: u64,
    /// The latest of them, at most twenty, oldest first.
    pub latest_outages: Vec<OutageLine>,
    /// How often the breaker began to hold commands back.
    pub openings: u64,
    /// Of these, how often no outage was near.
    pub openings_without_outage: u64,
    /// The latest openings, at most twenty, oldest first.
    pub latest_openings: Vec<OpeningLine>,
}

/// One outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutageLine {
    /// When it began, to ten seconds.
    pub from: String,
    /// When it ended, to ten seconds.
    pub to: String,
    /// Calls that failed.
    pub failed: u64,
    /// Whether the breaker held commands back meanwhile.
    pub opened: bool,
}

/// One opening of a breaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpeningLine {
    /// When the first command was held back, to ten seconds.
    pub at: String,
    /// Whether an outage was under way or near.
    pub in_outage: bool,
    /// Milliseconds until most calls succeeded again, to ten seconds; absent: that is not on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_after_ms: Option<u64>,
}

/// A setting that should have another value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingAdvice {
    /// Where the setting belongs.
    pub scope: SettingScope,
    /// The setting.
    pub setting: SettingKey,
    /// Its present value, as YAML.
    pub present: String,
    /// File and line.
    pub place: String,
    /// The value that is advised, as YAML.
    pub advised: String,
    /// The evidence, in words.
    pub because: String,
    /// The evidence, in numbers.
    pub figures: BTreeMap<&'static str, f64>,
    /// What is to be expected.
    pub effect: String,
    /// How far the evidence carries.
    pub confidence: AdviceConfidence,
}

/// Why a setting stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StayReason {
    /// It fits what was observed.
    Fits,
    /// Too little was observed.
    NotEnoughEvidence,
}

/// A setting that stays.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnchangedSetting {
    /// Where the setting belongs.
    pub scope: SettingScope,
    /// The setting.
    pub setting: SettingKey,
    /// Its value, as YAML.
    pub present: String,
    /// Why it stays.
    pub reason: StayReason,
    /// The evidence, in words.
    pub because: String,
}

/// What is to be expected of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OutlookWord {
    /// There are too few calls of late.
    NotEnoughEvidence,
    /// It fails already.
    Failing,
    /// No trend leads to a failure within half an hour.
    Steady,
    /// It is likely to fail within half an hour.
    LikelyToFail,
}

/// Whether a participant is about to fail.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantForecast {
    /// The participant.
    pub participant: String,
    /// What is to be expected.
    pub outlook: OutlookWord,
    /// What grows, of a participant that is likely to fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure: Option<ForecastMeasure>,
    /// In how many minutes, of a participant that is likely to fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_minutes: Option<u64>,
    /// It counts as failing from this share of failed calls on…
    pub fails_at_error_share: f64,
    /// …or when the 95th percentile of latency reaches this.
    pub fails_at_latency: String,
    /// How often such forecasts came true.
    pub past: ForecastRecord,
}

/// Which part of what was found is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdviceSelection {
    /// Only this participant.
    pub participant: Option<String>,
    /// Only this definition, and the participants that it calls.
    pub definition: Option<String>,
}

impl AdviceSelection {
    fn has_participant(&self, past: &ObservedPast, name: &str) -> bool {
        let is_called = |definition: &String| {
            past.commands.keys().any(|it| it.definition == *definition && it.participant == *name)
        };
        self.participant.as_ref().is_none_or(|wanted| wanted == name) && self.definition.as_ref().is_none_or(is_called)
    }

    fn has_scope(&self, past: &ObservedPast, scope: &SettingScope) -> bool {
        match (scope, scope.saga()) {
            (SettingScope::Participant(name), _) => self.has_participant(past, name),
            (SettingScope::Saga(_) | SettingScope::Step { .. } | SettingScope::Undo { .. }, saga) => {
                self.participant.is_none() && self.definition.as_deref().is_none_or(|wanted| Some(wanted) == saga)
                    || self.participant.as_ref().is_some_and(|name| {
                        past.commands.keys().any(|it| {
                            it.participant == *name
                                && Some(it.definition.as_str()) == saga
                                && scope.path().get(1).is_none_or(|step| it.step == **step)
                        })
                    })
            }
        }
    }
}

/// All of it, of what is wanted, as it is at `now`.
pub(super) fn report(
    past: &ObservedPast,
    present: &PresentSettings,
    judged: Vec<JudgedSetting>,
    wanted: &AdviceSelection,
    (now, notes): (Timestamp, Vec<String>),
) -> AdviceReport {
    let judged: Vec<JudgedSetting> = judged.into_iter().filter(|it| wanted.has_scope(past, &it.scope)).collect();
    let series = past.series.iter().filter(|(name, _)| wanted.has_participant(past, name));
    let is_shown = |definition: &String| wanted.definition.as_ref().is_none_or(|it| it == definition);
    let lines = past
        .commands
        .iter()
        .filter(|(command, _)| is_shown(&command.definition) && wanted.has_participant(past, &command.participant));
    AdviceReport {
        read: read(past, notes),
        quantile_error: QUANTILE_ERROR,
        observed: lines
            .map(|(command, it)| ObservedLine {
                participant: command.participant.clone(),
                saga: command.definition.clone(),
                step: command.step.clone(),
                direction: command.direction.as_str(),
                ..line(it)
            })
            .collect(),
        participants: series.clone().map(|(name, series)| trouble(name, series)).collect(),
        paste: yaml_patch::patches(&judged, present),
        forecasts: series.map(|(name, series)| of_participant(name, series, present, now)).collect(),
        advice: judged.iter().filter_map(|it| advice(it, present)).collect(),
        unchanged: judged.into_iter().filter_map(unchanged).collect(),
    }
}

fn read(past: &ObservedPast, notes: Vec<String>) -> ReadPast {
    ReadPast {
        sagas: past.sagas,
        events: past.events,
        from: past.span.map(|(from, _)| rfc3339(from)),
        to: past.span.map(|(_, to)| rfc3339(to)),
        skipped: past.skipped,
        skipped_journals: past.skipped_named.clone(),
        notes,
    }
}

/// Without its names.
fn line(it: &CommandObservations) -> ObservedLine {
    let ms = |q: f64| it.latency.quantile(q).map(|took| took.as_millis() as u64);
    let wait = |waits: &LatencyHistogram| waits.quantile(0.95).unwrap_or_default().as_millis() as u64;
    ObservedLine {
        participant: String::new(),
        saga: String::new(),
        step: String::new(),
        direction: "",
        attempts: it.attempts,
        succeeded: it.succeeded,
        failures: it.failures.iter().map(|(class, count)| (class.as_str(), *count)).collect(),
        late_answers: it.late.total(),
        p50_ms: ms(0.5),
        p95_ms: ms(0.95),
        p99_ms: ms(0.99),
        success_by_attempt: it.by_number.iter().map(|it| super::verdict::share(it.succeeded, it.made)).collect(),
        waits: it.waits.iter().map(|(guard, waits)| (guard.as_str(), LatencyHistogram::total(waits))).collect(),
        wait_p95_ms: it.waits.iter().map(|(guard, waits)| (guard.as_str(), wait(waits))).collect(),
        exhausted: it.exhausted,
        compensated: it.compensated,
        parked: it.parked,
    }
}

/// Outages and openings that are listed; all are counted.
const LISTED: usize = 20;

fn trouble(name: &str, series: &ParticipantSeries) -> ParticipantTrouble {
    let outages = series.outages();
    let openings = series.openings(&outages);
    let latest_outages = outages.iter().skip(outages.len().saturating_sub(LISTED)).map(|it| OutageLine {
        from: rfc3339(it.from),
        to: rfc3339(it.to),
        failed: it.failed,
        opened: it.opened,
    });
    let latest_openings = openings.iter().skip(openings.len().saturating_sub(LISTED)).map(|it| OpeningLine {
        at: rfc3339(it.at),
        in_outage: it.in_outage,
        answered_after_ms: it.answered_after.map(|after| after.as_millis() as u64),
    });
    ParticipantTrouble {
        participant: name.to_owned(),
        outages: outages.len() as u64,
        latest_outages: latest_outages.collect(),
        openings: openings.len() as u64,
        openings_without_outage: openings.iter().filter(|it| !it.in_outage).count() as u64,
        latest_openings: latest_openings.collect(),
    }
}

fn advice(it: &JudgedSetting, present: &PresentSettings) -> Option<SettingAdvice> {
    let RuleVerdict::Change(rule) = &it.verdict else { return None };
    Some(SettingAdvice {
        scope: it.scope.clone(),
        setting: it.key,
        present: shown(it),
        place: present.place(&it.scope, it.key),
        advised: rule.value.to_string(),
        because: rule.because.clone(),
        figures: rule.figures.clone(),
        effect: rule.effect.clone(),
        confidence: rule.confidence,
    })
}

fn unchanged(it: JudgedSetting) -> Option<UnchangedSetting> {
    let present = shown(&it);
    let (reason, because) = match it.verdict {
        RuleVerdict::Change(_) => return None,
        RuleVerdict::Fits(why) => (StayReason::Fits, why),
        RuleVerdict::TooLittle(why) => (StayReason::NotEnoughEvidence, why),
    };
    Some(UnchangedSetting { scope: it.scope, setting: it.key, present, reason, because })
}

fn shown(it: &JudgedSetting) -> String {
    let text = it.present.to_string();
    if text == "{}" { "as usual".to_owned() } else { text }
}

fn of_participant(
    name: &str,
    series: &ParticipantSeries,
    present: &PresentSettings,
    now: Timestamp,
) -> ParticipantForecast {
    let config = present.participant(name);
    let pinned = || present.longest_timeout(name).unwrap_or(HTTP_TIMEOUT);
    let limits = FailureLimits {
        error_share: config.map_or(0.5, |config| config.breaker.settings().failure_rate),
        timeout: config.map_or_else(pinned, |config| config.timeout),
    };
    let points = forecast::points(series.health());
    let outlook = forecast::outlook_at(&points, series::index(now, HEALTH_BUCKET), limits);
    let (outlook, likely) = match outlook {
        FailureOutlook::TooLittle => (OutlookWord::NotEnoughEvidence, None),
        FailureOutlook::Failing => (OutlookWord::Failing, None),
        FailureOutlook::Steady => (OutlookWord::Steady, None),
        FailureOutlook::Likely { measure, within } => (OutlookWord::LikelyToFail, Some((measure, within))),
    };
    ParticipantForecast {
        participant: name.to_owned(),
        outlook,
        measure: likely.map(|(measure, _)| measure),
        within_minutes: likely.map(|(_, within)| within.as_secs() / 60),
        fails_at_error_share: limits.error_share,
        fails_at_latency: span_text(limits.timeout),
        past: backtest::record(&points, limits),
    }
}
