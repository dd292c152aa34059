//! A participant over HTTP, whole: `POST charges` and its undo `POST refunds`, on axum, with charges in a SQLite file.
//!
//! `cargo run -p saga-participant --features http --example payments`, then `saga verify-participant 'POST
//! payments/charges' --undo 'POST payments/refunds' --with '{"amountCents": 4900}' --yes`.

use axum::{Router, extract::State, routing::post};
use saga_participant::{
    CommandBarrier, CommandDirection, CommandHandler, CommandService, HandlerError, ParticipantAnswer, PriorOutcome,
    SagaCommand, SagaParticipant, UnsettledCommandError, http::CommandExtractor,
};
use serde_json::json;
use sqlx::{Sqlite, SqliteConnection, sqlite::SqliteConnectOptions, sqlite::SqlitePoolOptions};

/// What the service does. Whatever it writes is committed together with its answer, or not at all.
struct Payments;

impl CommandHandler<Sqlite> for Payments {
    async fn perform(
        &self,
        tx: &mut SqliteConnection,
        command: &SagaCommand,
        before: PriorOutcome,
    ) -> Result<ParticipantAnswer, HandlerError> {
        match command.direction() {
            CommandDirection::Do => charge(tx, command).await,
            CommandDirection::Undo => refund(tx, before).await,
        }
    }
}

async fn charge(tx: &mut SqliteConnection, command: &SagaCommand) -> Result<ParticipantAnswer, HandlerError> {
    let Some(cents) = command.body["amountCents"].as_i64() else {
        return Ok(ParticipantAnswer::refused("no_amount", "amountCents has to be a number"));
    };
    if cents > 100_000 {
        return Ok(ParticipantAnswer::refused("card_declined", "the card's limit is 1,000.00"));
    }
    let insert = sqlx::query_scalar("INSERT INTO charges (cents) VALUES (?1) RETURNING id").bind(cents);
    let id: i64 = insert.fetch_one(tx).await?;
    Ok(ParticipantAnswer::Succeeded(json!({"chargeId": id})))
}

/// An undo is told what its do came to.
async fn refund(tx: &mut SqliteConnection, before: PriorOutcome) -> Result<ParticipantAnswer, HandlerError> {
    if let PriorOutcome::Done(result) = before {
        let delete = sqlx::query("DELETE FROM charges WHERE id = ?1").bind(result["chargeId"].as_i64());
        delete.execute(tx).await?;
    }
    Ok(ParticipantAnswer::Succeeded(json!({"refunded": true})))
}

async fn take(
    State(payments): State<SagaParticipant<Sqlite, Payments>>,
    CommandExtractor(command): CommandExtractor,
) -> Result<ParticipantAnswer, UnsettledCommandError> {
    payments.answer(command).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = SqliteConnectOptions::new().filename("payments.db").create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(file).await?;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS charges (id INTEGER PRIMARY KEY AUTOINCREMENT, cents INTEGER)")
        .execute(&pool)
        .await?;
    let barrier = CommandBarrier::create(&pool).await?;
    let payments = SagaParticipant::new(pool, barrier, Payments);
    let routes = Router::new().route("/charges", post(take)).route("/refunds", post(take)).with_state(payments);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8081").await?;
    Ok(axum::serve(listener, routes).await?)
}
