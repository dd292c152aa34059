//! Commits that break.

use crate::ground::{Ground, a_do};
use anyhow::Result;
use saga_participant::{CommandService, ParticipantAnswer};
use sqlx::Postgres;

/// Runs at the commit of every transaction that worked. The numbers are not rolled back.
const AT_COMMIT: &str = "
    CREATE SEQUENCE commits;
    CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF nextval('commits') <= TG_ARGV[0]::bigint THEN
            PERFORM pg_terminate_backend(pg_backend_pid());
        END IF;
        RETURN NULL;
    END $$;";
const FIRST_BREAKS: &str = "
    CREATE CONSTRAINT TRIGGER breaks AFTER INSERT ON work DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION at_commit(1);";
const ALL_BREAK: &str = "
    CREATE CONSTRAINT TRIGGER breaks AFTER INSERT ON work DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION at_commit(1000);";

async fn breaking(ground: &Ground<Postgres>, trigger: &'static str) -> Result<()> {
    sqlx::raw_sql(AT_COMMIT).execute(&ground.pool).await?;
    sqlx::raw_sql(trigger).execute(&ground.pool).await?;
    Ok(())
}

pub(crate) async fn a_commit_without_an_answer_is_asked_after(ground: &Ground<Postgres>) -> Result<()> {
    breaking(ground, FIRST_BREAKS).await?;
    let answer = ground.participant().answer(a_do("s")).await?;
    assert!(matches!(answer, ParticipantAnswer::Succeeded(_)), "{answer:?}");
    assert_eq!(ground.participant().answer(a_do("s")).await?, answer);
    assert_eq!(ground.sum().await?, 1);
    Ok(())
}

pub(crate) async fn a_commit_that_never_comes_through_is_not_answered(ground: &Ground<Postgres>) -> Result<()> {
    breaking(ground, ALL_BREAK).await?;
    let unsettled = ground.participant().answer(a_do("s")).await.expect_err("nobody knows");
    assert!(unsettled.to_string().contains("s:reserve:do"), "{unsettled}");
    Ok(())
}
