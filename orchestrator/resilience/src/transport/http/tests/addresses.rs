//! Names that lead to addresses which may not be called: by themselves, or after their DNS answer has changed.

use super::*;
use crate::{
    health::HealthProbe,
    outbound::{AddressPolicy, HostResolver, OutboundAddresses},
};
use futures_util::future::BoxFuture;
use saga_core::definition::participants::HealthCheckMethod;
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr},
};

const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Gives one answer after the other, and the last one again and again.
#[derive(Debug)]
struct ChangingNames(Mutex<VecDeque<Vec<IpAddr>>>);

impl ChangingNames {
    fn of<const N: usize>(answers: [&[IpAddr]; N]) -> OutboundAddresses {
        let answers = answers.into_iter().map(<[IpAddr]>::to_vec).collect();
        OutboundAddresses::new(AddressPolicy::default()).resolved_by(Arc::new(ChangingNames(Mutex::new(answers))))
    }
}

impl HostResolver for ChangingNames {
    fn addresses<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let mut answers = self.0.lock().expect("no panic under it");
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        let addresses = answer.unwrap_or_default().into_iter().map(|address| SocketAddr::new(address, 0)).collect();
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// A participant that is here by a name, whose connections are not used again.
async fn named() -> HttpSettings {
    let here = answering(|_| reply(200, &[(header::CONNECTION, "close")], "{}")).await;
    let url = here.endpoints[0].url.replace("127.0.0.1", "payments.test");
    HttpSettings::at("payments", url)
}

#[tokio::test]
async fn a_name_that_moves_to_a_refused_address_is_not_called_there() {
    let participant = HttpParticipantClient::within(&named().await, &ChangingNames::of([&[HERE], &[METADATA]]));
    let participant = participant.expect("settings that can be called");
    assert_eq!(summary(&participant.call(&a_call()).await), "succeeded {}");
    let CommandAnswer::Failed { failure, retry: RetryAdvice::ThenPark, .. } = participant.call(&a_call()).await else {
        panic!("it is certain that nothing was sent");
    };
    assert_eq!((failure.code.as_str(), failure.class), (ADDRESS_REFUSED, Some(ErrorClass::Network)));
    for told in ["`payments`", "169.254.169.254", "`payments.test`", "`cloud_metadata`", "`outbound.allowReserved`"] {
        assert!(failure.message.contains(told), "{told} is not in: {}", failure.message);
    }
}

#[tokio::test]
async fn of_several_addresses_only_those_are_called_that_may_be() {
    let participant = HttpParticipantClient::within(&named().await, &ChangingNames::of([&[METADATA, HERE]]));
    let answer = participant.expect("settings that can be called").call(&a_call()).await;
    assert_eq!(summary(&answer), "succeeded {}");
}

#[tokio::test]
async fn what_may_have_left_before_stays_unknown() {
    let participant = HttpParticipantClient::within(&named().await, &ChangingNames::of([&[METADATA]]));
    let answer = participant.expect("settings that can be called").call(&a_call().repeated()).await;
    assert_eq!(summary(&answer), format!("unknown {ADDRESS_REFUSED}"));
}

#[tokio::test]
async fn a_place_to_ask_is_not_asked_at_a_refused_address() {
    let settings = HttpSettings::at("payments", "http://[::ffff:169.254.169.254]:80/api");
    let polled = ParticipantCall { location: Some("/api/jobs/1".into()), asked: 1, ..a_call() };
    assert_eq!(summary(&ask(&settings, &polled).await), format!("unknown {ADDRESS_REFUSED}"));
}

#[tokio::test]
async fn health_checks_do_not_connect_to_a_refused_address() {
    let named = named().await;
    let outbound = ChangingNames::of([&[HERE], &[HERE], &[METADATA]]);
    let participant = HttpParticipantClient::within(&named, &outbound).expect("settings that can be called");
    let mut outcomes = Vec::new();
    for check in [HealthCheckMethod::Connect, HealthCheckMethod::Path("health".into()), HealthCheckMethod::Connect] {
        let probe = HealthProbe::of(&check, Some(participant.prober()), outbound.of_participant("payments"));
        outcomes.push(probe.expect("a client").expect("endpoints").passes(LONG).await);
    }
    let url = HealthCheckMethod::Url(named.endpoints[0].url.clone());
    let probe = HealthProbe::of(&url, None, outbound.of_participant("payments"));
    outcomes.push(probe.expect("a client").expect("a URL").passes(LONG).await);
    assert_eq!(outcomes, [true, true, false, false]);
}

#[tokio::test]
async fn a_list_of_what_may_be_called_excludes_everything_else() {
    let here = answering(|_| reply(200, &[], "{}")).await;
    let call = async |allow: &[&str]| {
        let allow: Vec<String> = allow.iter().map(|&it| it.to_owned()).collect();
        let policy = AddressPolicy::new(Some(&allow), &[]).expect("a list");
        let participant = HttpParticipantClient::within(&here, &OutboundAddresses::new(policy));
        summary(&participant.expect("settings that can be called").call(&a_call()).await)
    };
    assert_eq!(call(&["127.0.0.0/8"]).await, "succeeded {}");
    assert!(call(&["*.example.com", "10.0.0.0/8"]).await.contains(ADDRESS_REFUSED));
}
