//! For each rule there is a participant that breaks it, and the kit finds it.

use super::*;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// What is wrong with a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParticipantFault {
    /// It answers 500 to everything.
    Broken,
    /// It answers something that is not what it says.
    NotJson,
    /// It performs whatever comes, as often as it comes.
    NoMemory,
    /// It looks whether a command is known, and writes it down later.
    LooksBeforeItWrites,
    /// It refuses every undo.
    NoUndo,
    /// It refuses an undo whose do is undone.
    UndoesOnce,
    /// It refuses an undo whose do it does not know.
    KnowsNoUndo,
    /// It answers an undo before its do, and forgets it.
    NoBarrier,
    /// It forgets a do when it is undone.
    ForgetsTheDo,
    /// It forgets everything when it is restarted.
    NoDisk,
}

#[derive(Debug)]
struct FaultyService {
    fault: ParticipantFault,
    numbers: AtomicU64,
    /// Charges by saga; `None`: undone.
    charges: Mutex<BTreeMap<String, Option<u64>>>,
    /// Deliveries at once meet here.
    together: tokio::sync::Barrier,
    /// There once it has been restarted.
    restarted: PathBuf,
}

async fn answer(State(service): State<Arc<FaultyService>>, headers: HeaderMap) -> Response {
    let header = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (saga, direction) = header.split_once(':').unwrap_or_default();
    if service.fault == ParticipantFault::NoDisk && std::fs::remove_file(&service.restarted).is_ok() {
        service.charges.lock().expect("no panic under it").clear();
    }
    match service.fault {
        ParticipantFault::Broken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        ParticipantFault::NotJson => ([("content-type", "application/json")], "done!").into_response(),
        ParticipantFault::LooksBeforeItWrites if !direction.ends_with(":undo") => service.charge_late(saga).await,
        ParticipantFault::LooksBeforeItWrites
        | ParticipantFault::NoMemory
        | ParticipantFault::NoUndo
        | ParticipantFault::UndoesOnce
        | ParticipantFault::KnowsNoUndo
        | ParticipantFault::NoBarrier
        | ParticipantFault::ForgetsTheDo
        | ParticipantFault::NoDisk => {
            if direction.ends_with(":undo") {
                service.undo(saga)
            } else {
                service.charge(saga)
            }
        }
    }
}

impl FaultyService {
    fn charge(&self, saga: &str) -> Response {
        let mut charges = self.charges.lock().expect("no panic under it");
        let known = charges.get(saga).copied().filter(|_| self.fault != ParticipantFault::NoMemory);
        match known {
            Some(Some(number)) => charged(number),
            Some(None) => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
            None => {
                let number = self.numbers.fetch_add(1, Ordering::Relaxed);
                charges.insert(saga.into(), Some(number));
                charged(number)
            }
        }
    }

    /// Requests that come at once all look before one of them writes. A request that comes alone is let through when a
    /// second one comes or time is up.
    async fn charge_late(&self, saga: &str) -> Response {
        let known = self.charges.lock().expect("no panic under it").get(saga).copied();
        if known.is_none() {
            drop(tokio::time::timeout(Duration::from_millis(200), self.together.wait()).await);
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            self.charges.lock().expect("no panic under it").insert(saga.into(), Some(number));
            return charged(number);
        }
        self.charge(saga)
    }

    fn undo(&self, saga: &str) -> Response {
        let mut charges = self.charges.lock().expect("no panic under it");
        let known = charges.get(saga).copied();
        match (self.fault, known) {
            (ParticipantFault::NoUndo, _)
            | (ParticipantFault::UndoesOnce, Some(None))
            | (ParticipantFault::KnowsNoUndo, None) => {
                return StatusCode::NOT_FOUND.into_response();
            }
            (ParticipantFault::NoBarrier, None) => {}
            (ParticipantFault::ForgetsTheDo, Some(_)) => drop(charges.remove(saga)),
            _ => drop(charges.insert(saga.into(), None)),
        }
        ([("content-type", "application/json")], "{}").into_response()
    }
}

fn charged(number: u64) -> Response {
    ([("content-type", "application/json")], json!({"chargeId": number}).to_string()).into_response()
}

async fn broken(fault: ParticipantFault) -> Vec<ContractCheck> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let restarted = folder.path().join("restarted");
    let restart = RestartMethod::Command(format!("touch '{}'", restarted.display()));
    let service = FaultyService {
        restarted,
        fault,
        numbers: AtomicU64::new(0),
        charges: Mutex::default(),
        together: tokio::sync::Barrier::new(2),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let routes = Router::new().fallback(answer).with_state(Arc::new(service));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let subject = VerificationSubject { restart: Some(restart), ..subject() };
    named(&over_http(address, &subject).await, ContractVerdict::Broken)
}

#[tokio::test]
async fn each_fault_is_found() {
    let all_answers = [ContractCheck::Answers, ContractCheck::DoAtOnce, ContractCheck::UndoBeforeDo];
    let faults: &[(ParticipantFault, &[ContractCheck])] = &[
        (ParticipantFault::Broken, &all_answers),
        (ParticipantFault::NotJson, &all_answers),
        (
            ParticipantFault::NoMemory,
            &[
                ContractCheck::DoTwice,
                ContractCheck::DoAtOnce,
                ContractCheck::LateDo,
                ContractCheck::DoAfterUndo,
                ContractCheck::AfterRestart,
            ],
        ),
        (ParticipantFault::LooksBeforeItWrites, &[ContractCheck::DoAtOnce]),
        (ParticipantFault::NoUndo, &[ContractCheck::Undo, ContractCheck::UndoTwice, ContractCheck::UndoBeforeDo]),
        (ParticipantFault::UndoesOnce, &[ContractCheck::UndoTwice]),
        (ParticipantFault::KnowsNoUndo, &[ContractCheck::UndoBeforeDo]),
        (ParticipantFault::NoBarrier, &[ContractCheck::LateDo, ContractCheck::AfterRestart]),
        (ParticipantFault::ForgetsTheDo, &[ContractCheck::DoAfterUndo]),
        (ParticipantFault::NoDisk, &[ContractCheck::AfterRestart]),
    ];
    for (fault, checks) in faults {
        assert_eq!(broken(*fault).await, *checks, "{fault:?}");
    }
}

#[tokio::test]
async fn a_finding_says_what_was_sent_what_came_and_where_to_read() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(StatusCode::NOT_IMPLEMENTED)).await });
    let findings = over_http(address, &subject()).await;
    let found = &findings[0];
    assert!(
        found.exchanges[0].sent.starts_with("POST payments/charges ")
            && found.exchanges[0].sent.ends_with(":verify:do, attempt 1")
    );
    assert!(found.exchanges[0].came.starts_with("unknown (http.501) after "), "{found:?}");
    let asked = named(&findings, ContractVerdict::NotAsked);
    assert_eq!(asked, [ContractCheck::AfterRestart, ContractCheck::Headers]);
    assert_eq!((found.why.as_str(), found.read), ("unknown (http.501)", "docs/participants.md#the-rules"));
}

#[tokio::test]
async fn who_is_not_there_breaks_nothing_and_is_said_to_be_away() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let error = attempted(address, &subject()).await.expect_err("nobody listens");
    assert!(error.downcast_ref::<VerificationError>().is_some(), "{error:#}");
}
