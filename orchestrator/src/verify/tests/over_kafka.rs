//! Over a real broker: the kit's command loop is right; one that forgets a header or sends no reply is not.

use super::{good, *};
use saga_kafka::{
    ConsumerEvent, KafkaConsumer, KafkaProducer,
    consumer::{AssignmentMode, BackpressureLimits, ConsumerSettings, TopicStart},
    settings::USUAL_BATCH,
    testing::{create, real_broker, unique},
};
use saga_participant::kafka::{CommandListener, ListenerSettings};
use saga_wire::{OutgoingRecord, record::text_header};

fn reserve() -> TypedCommands {
    TypedCommands {
        target: "inventory.ReserveStock".parse().expect("a command"),
        undo: Some("inventory.ReleaseStock".parse().expect("a command")),
        ..charge()
    }
}

fn inventory() -> VerificationSubject {
    typed(reserve())
}

async fn verified(settings: &KafkaSettings, commands: &str, subject: &VerificationSubject) -> Vec<ContractFinding> {
    let text = format!("participants:\n  inventory:\n    kafka: {{commands: {commands}}}\n");
    let participants = participants::parse("participants.yaml", &text, &|_| None).expect("it can be read");
    let participant = participants.get("inventory").expect("it is there");
    run("inventory", participant, subject, settings, None).await.expect("it can be asked").findings
}

/// The broker and a topic of commands. `None` has been reported.
async fn stage() -> Option<(KafkaSettings, String)> {
    let settings = real_broker()?;
    let commands = unique("verify-commands-");
    create(&settings, &commands, 1, &[]).await;
    Some((settings, commands))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kit_s_command_loop_keeps_every_rule() {
    let Some((settings, commands)) = stage().await else { return };
    let of_kit = ListenerSettings::new(&settings.bootstrap_servers, commands.clone(), &[&commands]);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(CommandListener::new(of_kit, good::kit().await).run(async move { drop(stopped.await) }));
    let restarted = VerificationSubject { restart: Some(RestartMethod::Command("true".into())), ..inventory() };
    let findings = verified(&settings, &commands, &restarted).await;
    assert_eq!(named(&findings, ContractVerdict::Holds), ContractCheck::ALL, "{findings:#?}");
    drop(stop);
    serving.await.expect("no panic").expect("it served");
}

/// Answers everything alike, with no header but those that an engine cannot do without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_were_not_copied_are_found() {
    let Some((settings, commands)) = stage().await else { return };
    let plan = ConsumerSettings {
        name: "bad",
        group: commands.clone(),
        mode: AssignmentMode::Manual,
        topics: vec![TopicStart::earliest(&commands)],
        limits: BackpressureLimits::default(),
        largest_batch: USUAL_BATCH,
        compacted: std::collections::BTreeSet::new(),
    };
    let (_consumer, mut events) = KafkaConsumer::start(&settings, plan).expect("a consumer");
    let producer = KafkaProducer::start(&settings).expect("a producer");
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            let ConsumerEvent::Records(records) = event else { continue };
            for delivered in records {
                let header = |name: &str| delivered.record.header_text(name).unwrap_or_default().to_owned();
                let headers = vec![
                    text_header("idempotency_key", header("idempotency_key")),
                    text_header("saga_outcome", "succeeded"),
                ];
                let topic = header("reply_topic").into();
                producer.send(&OutgoingRecord { topic, partition: None, key: None, value: None, headers }).await;
                delivered.ack.finish();
            }
        }
    });
    let findings = verified(&settings, &commands, &inventory()).await;
    assert_eq!(
        named(&findings, ContractVerdict::Broken),
        [ContractCheck::LateDo, ContractCheck::Headers],
        "{findings:#?}"
    );
    assert_eq!(findings[9].why, "a reply lacks the header ce_correlationid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_answer_is_told_where_the_answer_was_awaited() {
    let Some((settings, commands)) = stage().await else { return };
    let subject =
        VerificationSubject { timeout: Duration::from_millis(50), ..typed(TypedCommands { undo: None, ..reserve() }) };
    let findings = verified(&settings, &commands, &subject).await;
    assert_eq!(
        named(&findings, ContractVerdict::Broken),
        [ContractCheck::Answers, ContractCheck::DoAtOnce],
        "{findings:#?}"
    );
    assert!(findings[0].why.contains("the topic in the header reply_topic"), "{findings:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_does_not_exist_is_no_fault_of_anybody() {
    let Some(settings) = real_broker() else { return };
    let text = format!("participants:\n  inventory:\n    kafka: {{commands: {}}}\n", unique("nowhere-"));
    let participants = participants::parse("participants.yaml", &text, &|_| None).expect("it can be read");
    let participant = participants.get("inventory").expect("it is there");
    let error = run("inventory", participant, &inventory(), &settings, None).await.expect_err("there is no topic");
    assert!(format!("{error:#}").contains("topic of commands"), "{error:#}");
}
