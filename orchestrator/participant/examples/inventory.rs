//! A participant over Kafka, whole: `ReserveStock` and its undo `ReleaseStock` from the topic `inventory.commands`,
//! with stock in Postgres.
//!
//! `DATABASE_URL=… cargo run -p saga-participant --features kafka --example inventory`

use saga_participant::{
    CommandBarrier, CommandHandler, HandlerError, ParticipantAnswer, PriorOutcome, SagaCommand, SagaParticipant,
    kafka::{CommandListener, ListenerSettings},
};
use serde_json::json;
use sqlx::{PgConnection, PgPool, Postgres};

/// What the service does. Whatever it writes is committed together with its answer, or not at all.
struct Inventory;

impl CommandHandler<Postgres> for Inventory {
    async fn perform(
        &self,
        tx: &mut PgConnection,
        command: &SagaCommand,
        _: PriorOutcome,
    ) -> Result<ParticipantAnswer, HandlerError> {
        let sku = command.body["sku"].as_str().unwrap_or_default();
        match command.name.as_str() {
            "ReserveStock" => {
                let take = sqlx::query("UPDATE stock SET pieces = pieces - 1 WHERE sku = $1 AND pieces > 0").bind(sku);
                if take.execute(tx).await?.rows_affected() == 0 {
                    return Ok(ParticipantAnswer::refused("out_of_stock", format!("there is no {sku} left")));
                }
                Ok(ParticipantAnswer::Succeeded(json!({"sku": sku})))
            }
            "ReleaseStock" => {
                let give_back = sqlx::query("UPDATE stock SET pieces = pieces + 1 WHERE sku = $1").bind(sku);
                give_back.execute(tx).await?;
                Ok(ParticipantAnswer::Succeeded(json!({})))
            }
            other => Ok(ParticipantAnswer::refused("unknown_command", format!("nobody here knows {other}"))),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = PgPool::connect(&std::env::var("DATABASE_URL")?).await?;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS stock (sku text PRIMARY KEY, pieces integer NOT NULL)")
        .execute(&pool)
        .await?;
    let barrier = CommandBarrier::create(&pool).await?;
    let settings = ListenerSettings::new("localhost:9092", "inventory", &["inventory.commands"]);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    CommandListener::new(settings, SagaParticipant::new(pool, barrier, Inventory)).run(stop).await?;
    Ok(())
}
