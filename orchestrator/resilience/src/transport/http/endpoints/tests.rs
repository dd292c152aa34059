use super::*;
use saga_core::{
    command::{CommandFailure, FailureOrigin, RetryAdvice},
    definition::participants::EndpointConfig,
};
use std::collections::BTreeMap;

fn listed(hosts: &[(&str, u32)]) -> HttpSettings {
    let endpoint = |(host, weight): &(&str, u32)| EndpointConfig {
        url: format!("http://{host}"),
        weight: NonZeroU32::new(*weight).expect("not zero"),
    };
    HttpSettings { endpoints: hosts.iter().map(endpoint).collect(), ..HttpSettings::at("payments", "") }
}

fn endpoints(hosts: &[(&str, u32)]) -> Arc<ParticipantEndpoints> {
    ParticipantEndpoints::new(&listed(hosts), GuardEventBus::default()).expect("base URLs")
}

fn host(picked: &PickedEndpoint) -> String {
    picked.url("charges").expect("a path").host_str().expect("a host").to_owned()
}

fn broke() -> CommandAnswer {
    unknown(FailureOrigin::Transport)
}

fn unknown(origin: FailureOrigin) -> CommandAnswer {
    CommandAnswer::unknown(CommandFailure::new("a code", "").of_origin(origin))
}

fn declined(origin: FailureOrigin) -> CommandAnswer {
    let failure = CommandFailure::new("a code", "").of_origin(origin);
    CommandAnswer::Failed { failure, retry: RetryAdvice::No, retry_after: None }
}

#[test]
fn every_endpoint_gets_its_share() {
    let endpoints = endpoints(&[("one", 1), ("three", 3), ("six", 6)]);
    let mut calls: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..1_000 {
        *calls.entry(host(&endpoints.pick(None))).or_insert(0) += 1;
    }
    assert_eq!(calls, BTreeMap::from([("one".into(), 100), ("three".into(), 300), ("six".into(), 600)]));
}

#[test]
fn an_endpoint_that_breaks_off_is_left_out_and_one_that_says_no_is_not() {
    let endpoints = endpoints(&[("good", 1), ("bad", 1)]);
    let answer = |host: &str| if host == "bad" { broke() } else { declined(FailureOrigin::answer(422)) };
    for _ in 0..20 {
        let picked = endpoints.pick(None);
        let host = host(&picked);
        picked.settle(&answer(&host));
    }
    let states = endpoints.states();
    assert_eq!(states.iter().map(|it| it.ejected_for_ms.is_some()).collect::<Vec<_>>(), [false, true]);
    assert_eq!(states[1].failed, 5);
    assert!((0..10).all(|_| host(&endpoints.pick(None)) == "good"));
}

#[test]
fn what_an_answer_says_about_its_endpoint() {
    let table = [
        (CommandAnswer::Succeeded { result: serde_json::Value::Null }, EndpointVerdict::Succeeded),
        (CommandAnswer::Ongoing { ask_after: None, location: None }, EndpointVerdict::Succeeded),
        (declined(FailureOrigin::answer(409)), EndpointVerdict::Succeeded),
        (declined(FailureOrigin::answer(503)), EndpointVerdict::Failed),
        (declined(FailureOrigin::Transport), EndpointVerdict::Failed),
        (declined(FailureOrigin::Engine), EndpointVerdict::Neutral),
        (unknown(FailureOrigin::Transport), EndpointVerdict::Failed),
        (unknown(FailureOrigin::answer(200)), EndpointVerdict::Failed),
        (unknown(FailureOrigin::Engine), EndpointVerdict::Neutral),
    ];
    for (answer, expected) in table {
        assert_eq!(verdict(&answer), expected, "{answer:?}");
    }
}

#[test]
fn a_call_that_nobody_waits_for_gives_its_place_back() {
    let endpoints = endpoints(&[("one", 1)]);
    let picked = endpoints.pick(None);
    assert_eq!(endpoints.states()[0].in_flight, 1);
    drop(picked);
    assert_eq!((endpoints.states()[0].in_flight, endpoints.states()[0].failed), (0, 0));
}

#[test]
fn another_list_keeps_what_is_known_of_urls_that_stay() {
    let endpoints = endpoints(&[("a", 1), ("b", 1)]);
    let held = endpoints.pick(None);
    assert_eq!(host(&held), "a");
    endpoints.replace_with(&self::endpoints(&[("c", 1), ("a", 2)]));
    let states = endpoints.states();
    assert_eq!([states[0].in_flight, states[1].in_flight], [0, 1]);
    assert_eq!((states[1].url.as_str(), states[1].weight), ("http://a/", 2));
    held.settle(&broke());
    assert_eq!((endpoints.states()[1].in_flight, endpoints.states()[1].failed), (0, 1));
}

#[test]
fn an_unhealthy_endpoint_takes_no_calls_while_half_are_healthy() {
    let endpoints = endpoints(&[("a", 1), ("b", 1)]);
    endpoints.set_health(&Url::parse("http://a/").expect("a URL"), false);
    assert!((0..10).all(|_| host(&endpoints.pick(None)) == "b"));
    endpoints.set_health(&Url::parse("http://nobody/").expect("a URL"), false);
    endpoints.set_health(&Url::parse("http://b/").expect("a URL"), false);
    assert!((0..10).any(|_| host(&endpoints.pick(None)) == "a"));
}

/// Calls come and go while the list changes under them.
#[test]
fn every_call_counts_for_its_own_endpoint_and_for_none_that_took_its_place() {
    saga_base::sync::simulated::under_all_schedules(|| {
        let endpoints = endpoints(&[("one", 1), ("two", 1)]);
        let calls = (0..3).map(|number| {
            let endpoints = Arc::clone(&endpoints);
            shuttle::thread::spawn(move || {
                let picked = endpoints.pick(None);
                if number == 0 { drop(picked) } else { picked.settle(&declined(FailureOrigin::answer(422))) }
            })
        });
        let calls: Vec<_> = calls.collect();
        for next in [listed(&[("two", 1), ("three", 1)]), listed(&[("three", 1), ("one", 1)])] {
            endpoints.replace_with(
                &ParticipantEndpoints::new(&next, crate::guard_events::GuardEventBus::default()).expect("base URLs"),
            );
        }
        calls.into_iter().for_each(|call| call.join().expect("it does not panic"));
        let states = endpoints.states();
        assert_eq!(states.len(), 2);
        assert!(states.iter().all(|state| state.in_flight == 0), "{states:?}");
    });
}
