//! Projections on SQLite.

use super::{SqliteStore, in_task};
use crate::{
    ChangeOutcome, ProjectedRow, ProjectionChange, ProjectionGeneration, ProjectionStart, StoreError, StoreProjections,
    projection,
};
use async_trait::async_trait;
use sqlx::SqlitePool;

#[async_trait]
impl StoreProjections for SqliteStore {
    async fn projections(&self) -> Result<Vec<ProjectionGeneration>, StoreError> {
        projection::generations(&self.readers).await
    }

    async fn begin_projection(&self, start: &ProjectionStart) -> Result<(), StoreError> {
        self.access.check_writable()?;
        projection::begin(&self.writer, start).await
    }

    async fn projected(&self, name: &str, generation: i64, keys: &[String]) -> Result<Vec<ProjectedRow>, StoreError> {
        projection::rows_of(&self.readers, name, generation, keys).await
    }

    async fn projection_page(
        &self,
        name: &str,
        generation: i64,
        prefix: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<ProjectedRow>, StoreError> {
        projection::page(&self.readers, (name, generation), prefix, after, limit).await
    }

    async fn fail_projection(&self, name: &str, generation: i64, problem: &str) -> Result<(), StoreError> {
        self.access.check_writable()?;
        projection::fail(&self.writer, name, generation, problem).await
    }

    async fn drop_projection(&self, name: &str, generation: i64, limit: u32) -> Result<u64, StoreError> {
        self.access.check_writable()?;
        projection::drop_rows(&self.writer, name, generation, limit).await
    }

    async fn apply_projection(&self, change: &ProjectionChange) -> Result<ChangeOutcome, StoreError> {
        self.access.check_writable()?;
        projection::check_change(change)?;
        let (writer, change) = (self.writer.clone(), change.clone());
        in_task("the change of a projection", async move { apply(&writer, &change).await }).await
    }

    async fn switch_projection(&self, name: &str, generation: i64) -> Result<bool, StoreError> {
        self.access.check_writable()?;
        let (writer, name) = (self.writer.clone(), name.to_owned());
        in_task("the switch of a projection", async move { switch(&writer, &name, generation).await }).await
    }
}

async fn apply(writer: &SqlitePool, change: &ProjectionChange) -> Result<ChangeOutcome, StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let moved = sqlx::query(include_str!("sql/move_projection.sql"))
        .bind(&change.name)
        .bind(change.generation)
        .bind(change.from.to_string())
        .bind(change.to.to_string())
        .bind(change.at_ms)
        .bind(change.archives_from.stored())
        .bind(change.archives_to.stored())
        .bind(change.left_out.clone())
        .execute(&mut *transaction)
        .await?;
    if moved.rows_affected() == 0 {
        return Ok(ChangeOutcome::Outdated);
    }
    for key in &change.removed {
        let query = sqlx::query(include_str!("sql/remove_projected.sql")).bind(&change.name).bind(change.generation);
        query.bind(key).execute(&mut *transaction).await?;
    }
    for row in &change.put {
        let query = sqlx::query(include_str!("sql/put_projected.sql")).bind(&change.name).bind(change.generation);
        query.bind(&row.key).bind(&row.body).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(ChangeOutcome::Applied)
}

async fn switch(writer: &SqlitePool, name: &str, generation: i64) -> Result<bool, StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let end = sqlx::query(include_str!("../sql/end_live_projection.sql")).bind(name).bind(generation);
    end.execute(&mut *transaction).await?;
    let begin = sqlx::query(include_str!("sql/switch_projection.sql")).bind(name).bind(generation);
    if begin.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Ok(false);
    }
    transaction.commit().await?;
    Ok(true)
}
