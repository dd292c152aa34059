//! Which settings should change. Each rule states its least evidence, and says so where there is less.

mod breaker;
mod bulkhead;
mod rate_limit;
mod retry;
mod tail_estimate;
mod timeout;

use super::{
    observed::{CommandObservations, ObservedCommand, ObservedPast},
    present::PresentSettings,
    series::{ObservedOutage, ParticipantSeries},
    setting::{SettingKey, SettingScope, SettingValue},
    verdict::{JudgedSetting, RuleVerdict},
};
use saga_core::{command::CommandDirection, policy::RetryPolicy};
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    time::Duration,
};

/// Calls below which no rule says anything: of 200, the 99th percentile has two above it.
const FEWEST_CALLS: u64 = 200;

/// Everything that was observed of one participant, by whichever definition.
struct ParticipantPast<'p> {
    all: CommandObservations,
    series: &'p ParticipantSeries,
    outages: Vec<ObservedOutage>,
}

/// The settings that apply to what was observed, judged. `engines` share the load of the installation.
pub(super) fn judged(past: &ObservedPast, present: &PresentSettings, engines: NonZeroU32) -> Vec<JudgedSetting> {
    let participants: BTreeMap<&str, ParticipantPast<'_>> =
        past.series.iter().map(|(name, series)| (name.as_str(), ParticipantPast::of(past, name, series))).collect();
    let mut judged = timeouts(past, present, &participants);
    judged.extend(retries(past, present, &participants));
    for (name, participant) in &participants {
        judged.extend(guards(name, participant, present, engines));
    }
    judged
}

impl ParticipantPast<'_> {
    fn of<'p>(past: &ObservedPast, name: &str, series: &'p ParticipantSeries) -> ParticipantPast<'p> {
        let mut all = CommandObservations::default();
        let of_it = past.commands.iter().filter(|(command, _)| command.participant == name);
        of_it.for_each(|(_, observations)| all.merge(observations));
        ParticipantPast { all, series, outages: series.outages() }
    }
}

/// What was observed of the commands that one written setting applies to.
struct ObservedGroup<T> {
    present: T,
    all: CommandObservations,
    participants: BTreeSet<String>,
}

fn grouped<T, K: Ord>(
    past: &ObservedPast,
    setting: impl Fn(&ObservedCommand) -> Option<(K, T)>,
) -> BTreeMap<K, ObservedGroup<T>> {
    let mut groups = BTreeMap::new();
    for (command, observations) in &past.commands {
        let Some((key, present)) = setting(command) else { continue };
        let group = groups.entry(key).or_insert_with(|| ObservedGroup {
            present,
            all: CommandObservations::default(),
            participants: BTreeSet::new(),
        });
        group.all.merge(observations);
        group.participants.insert(command.participant.clone());
    }
    groups
}

type ParticipantPasts<'p> = BTreeMap<&'p str, ParticipantPast<'p>>;

fn timeouts(past: &ObservedPast, present: &PresentSettings, known: &ParticipantPasts<'_>) -> Vec<JudgedSetting> {
    let groups: BTreeMap<(SettingScope, SettingKey), ObservedGroup<Duration>> = grouped(past, |command| {
        let (scope, key, span) = present.timeout(command)?;
        Some(((scope, key), span))
    });
    let judge = |((scope, key), group): ((SettingScope, SettingKey), ObservedGroup<Duration>)| {
        let of_it = || group.participants.iter().filter_map(|name| known.get(name.as_str()));
        let all: u64 = of_it().map(|it| it.all.timeouts).sum();
        let scattered: u64 = of_it().map(|it| it.series.scattered_timeouts(&it.outages)).sum();
        let apart = if all == 0 { 1.0 } else { (scattered as f64 / all as f64).min(1.0) };
        let verdict = timeout::judged(group.present, &group.all, apart);
        JudgedSetting { scope, key, present: SettingValue::Span(group.present), verdict }
    };
    groups.into_iter().map(judge).collect()
}

fn retries(past: &ObservedPast, present: &PresentSettings, known: &ParticipantPasts<'_>) -> Vec<JudgedSetting> {
    let groups: BTreeMap<SettingScope, ObservedGroup<RetryPolicy>> =
        grouped(past, |command| (command.direction == CommandDirection::Do).then(|| present.retry(command))?);
    let judge = |(scope, group): (SettingScope, ObservedGroup<RetryPolicy>)| {
        let outages: Vec<Duration> = group
            .participants
            .iter()
            .filter_map(|name| known.get(name.as_str()))
            .flat_map(|it| it.outages.iter().map(ObservedOutage::lasted))
            .collect();
        let verdict = retry::judged(&group.present, &group.all, &outages);
        JudgedSetting { scope, key: SettingKey::Retry, present: SettingValue::Retry(group.present), verdict }
    };
    groups.into_iter().map(judge).collect()
}

/// Guards stand in participants.yaml only: without it, nothing is said of them.
fn guards(
    name: &str,
    past: &ParticipantPast<'_>,
    present: &PresentSettings,
    engines: NonZeroU32,
) -> Vec<JudgedSetting> {
    let Some(config) = present.participant(name) else { return Vec::new() };
    let judged = |key, present, verdict: RuleVerdict| JudgedSetting {
        scope: SettingScope::Participant(name.to_owned()),
        key,
        present,
        verdict,
    };
    vec![
        judged(
            SettingKey::Bulkhead,
            SettingValue::Bulkhead(config.bulkhead),
            bulkhead::judged(&config.bulkhead, &past.all, past.series, engines),
        ),
        judged(
            SettingKey::RateLimit,
            SettingValue::Rate(config.rate_limit),
            rate_limit::judged(config.rate_limit, &past.all, past.series, engines),
        ),
        judged(
            SettingKey::Breaker,
            SettingValue::Breaker(*config.breaker.settings()),
            breaker::judged(config.breaker.settings(), past.series, &past.outages, past.all.attempts),
        ),
    ]
}

/// The value that a share `q` of the sorted values does not exceed.
fn quantile<T: Copy + Ord>(values: impl IntoIterator<Item = T>, q: f64) -> Option<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_unstable();
    let rank = ((values.len() as f64 * q).ceil() as usize).clamp(1, values.len().max(1));
    values.get(rank - 1).copied()
}
