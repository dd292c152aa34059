//! Projections on Postgres.

use super::PostgresStore;
use crate::{
    ChangeOutcome, ProjectedRow, ProjectionChange, ProjectionGeneration, ProjectionStart, StoreError, StoreProjections,
    projection,
};
use async_trait::async_trait;
use sqlx::Row as _;

#[async_trait]
impl StoreProjections for PostgresStore {
    async fn projections(&self) -> Result<Vec<ProjectionGeneration>, StoreError> {
        projection::generations(&self.pool).await
    }

    async fn begin_projection(&self, start: &ProjectionStart) -> Result<(), StoreError> {
        self.access.check_writable()?;
        projection::begin(&self.pool, start).await
    }

    async fn projected(&self, name: &str, generation: i64, keys: &[String]) -> Result<Vec<ProjectedRow>, StoreError> {
        projection::rows_of(&self.pool, name, generation, keys).await
    }

    async fn projection_page(
        &self,
        name: &str,
        generation: i64,
        prefix: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<ProjectedRow>, StoreError> {
        projection::page(&self.pool, (name, generation), prefix, after, limit).await
    }

    async fn fail_projection(&self, name: &str, generation: i64, problem: &str) -> Result<(), StoreError> {
        self.access.check_writable()?;
        projection::fail(&self.pool, name, generation, problem).await
    }

    async fn drop_projection(&self, name: &str, generation: i64, limit: u32) -> Result<u64, StoreError> {
        self.access.check_writable()?;
        projection::drop_rows(&self.pool, name, generation, limit).await
    }

    async fn apply_projection(&self, change: &ProjectionChange) -> Result<ChangeOutcome, StoreError> {
        self.access.check_writable()?;
        projection::check_change(change)?;
        let keys: Vec<String> = change.put.iter().map(|row| row.key.clone()).collect();
        let bodies: Vec<String> = change.put.iter().map(|row| row.body.clone()).collect();
        let query = sqlx::query(include_str!("sql/apply_projection.sql"))
            .bind(change.name.clone())
            .bind(change.generation)
            .bind(change.from.to_string())
            .bind(change.to.to_string())
            .bind(change.at_ms)
            .bind(change.removed.clone())
            .bind(keys)
            .bind(bodies)
            .bind(change.archives_from.stored())
            .bind(change.archives_to.stored())
            .bind(change.left_out.clone());
        let moved: i64 = self.pool.row(query).await?.try_get("moved")?;
        Ok(if moved == 1 { ChangeOutcome::Applied } else { ChangeOutcome::Outdated })
    }

    async fn switch_projection(&self, name: &str, generation: i64) -> Result<bool, StoreError> {
        self.access.check_writable()?;
        let query = sqlx::query(include_str!("sql/switch_projection.sql")).bind(name.to_owned()).bind(generation);
        Ok(self.pool.row(query).await?.try_get("switched")?)
    }
}
