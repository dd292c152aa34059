//! The kit's participant breaks nothing.

use super::*;
use saga_participant::{
    CommandBarrier, CommandDirection, CommandHandler, CommandService, HandlerError, ParticipantAnswer, PriorOutcome,
    SagaCommand, SagaParticipant, http::CommandExtractor,
};
use sqlx::{Sqlite, SqliteConnection, SqlitePool, sqlite::SqlitePoolOptions};

/// Numbers its charges, so that one which is made anew is another one.
pub(super) struct ChargeHandler;

impl CommandHandler<Sqlite> for ChargeHandler {
    async fn perform(
        &self,
        tx: &mut SqliteConnection,
        command: &SagaCommand,
        _: PriorOutcome,
    ) -> Result<ParticipantAnswer, HandlerError> {
        match command.direction() {
            CommandDirection::Undo => Ok(ParticipantAnswer::Succeeded(json!({"undone": true}))),
            CommandDirection::Do if command.body == json!("refuse") => {
                Ok(ParticipantAnswer::refused("declined", "as told"))
            }
            CommandDirection::Do => {
                let insert = sqlx::query_scalar("INSERT INTO charges DEFAULT VALUES RETURNING number");
                let number: i64 = insert.fetch_one(tx).await?;
                Ok(ParticipantAnswer::Succeeded(json!({"chargeId": number})))
            }
        }
    }
}

pub(super) async fn kit() -> SagaParticipant<Sqlite, ChargeHandler> {
    let pool: SqlitePool =
        SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.expect("a database in memory");
    let table = sqlx::raw_sql("CREATE TABLE charges (number INTEGER PRIMARY KEY)");
    table.execute(&pool).await.expect("it takes a table");
    let barrier = CommandBarrier::create(&pool).await.expect("it takes another");
    SagaParticipant::new(pool, barrier, ChargeHandler)
}

async fn serve() -> std::net::SocketAddr {
    let kit = kit().await;
    let answer = move |CommandExtractor(command): CommandExtractor| {
        let kit = kit.clone();
        async move { kit.answer(command).await }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    address
}

#[tokio::test]
async fn what_the_kit_makes_keeps_every_rule() {
    let findings = over_http(serve().await, &subject()).await;
    assert_eq!(named(&findings, ContractVerdict::Broken), [], "{findings:#?}");
    assert_eq!(
        named(&findings, ContractVerdict::NotAsked),
        [ContractCheck::AfterRestart, ContractCheck::Headers],
        "{findings:#?}"
    );
    assert_eq!(named(&findings, ContractVerdict::NotTested), []);
}

#[tokio::test]
async fn it_keeps_them_under_keys_that_are_derived_too() {
    let findings = set_to(serve().await, "idempotencyKey: uuid", &subject()).await.expect("it can be asked");
    assert_eq!(named(&findings, ContractVerdict::Broken), [], "{findings:#?}");
    assert_eq!(named(&findings, ContractVerdict::NotTested), []);
}

#[tokio::test]
async fn without_an_undo_its_rules_are_not_tested() {
    let findings = over_http(serve().await, &typed(TypedCommands { undo: None, ..charge() })).await;
    assert_eq!(
        named(&findings, ContractVerdict::Holds),
        [ContractCheck::Answers, ContractCheck::DoTwice, ContractCheck::DoAtOnce]
    );
    assert_eq!(named(&findings, ContractVerdict::Broken), []);
}

#[tokio::test]
async fn a_do_that_is_refused_says_little_of_its_undo() {
    let findings = over_http(serve().await, &typed(TypedCommands { with: json!("refuse"), ..charge() })).await;
    let untested = [ContractCheck::Undo, ContractCheck::UndoTwice, ContractCheck::DoAfterUndo];
    assert_eq!(named(&findings, ContractVerdict::NotTested), untested, "{findings:#?}");
    assert_eq!(named(&findings, ContractVerdict::Broken), []);
}
