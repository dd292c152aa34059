//! Definitions and policies, by their hash.

use crate::place::Place;
use anyhow::Result;

pub(crate) async fn a_document_is_kept_under_its_kind_and_hash(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let long = "steps: über\n".repeat(20_000);
    store.put_document("saga", "d0", "saga: order-fulfillment").await?;
    store.put_document("saga", "d1", &long).await?;
    store.put_document("policies", "d0", "{}").await?;
    drop(store);
    let store = place.reader().await?;
    assert_eq!(store.get_document("saga", "d0").await?.as_deref(), Some("saga: order-fulfillment"));
    assert_eq!(store.get_document("saga", "d1").await?, Some(long));
    assert_eq!(store.get_document("policies", "d0").await?.as_deref(), Some("{}"));
    assert_eq!(store.get_document("policies", "d1").await?, None);
    Ok(())
}

/// Instances of one installation store their definitions at the same time, each at every start.
pub(crate) async fn a_document_is_put_once(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let put = || store.put_document("saga", "d0", "saga: order-fulfillment");
    tokio::try_join!(put(), put(), put())?;
    assert_eq!(store.get_document("saga", "d0").await?.as_deref(), Some("saga: order-fulfillment"));
    assert_eq!(place.rows("documents").await?, 1);
    Ok(())
}

pub(crate) async fn a_damaged_document_is_put_back(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    store.put_document("saga", "d0", "saga: order-fulfillment").await?;
    store.put_document("saga", "d1", "saga: invoice").await?;
    place.run("UPDATE documents SET body = 'saga' WHERE hash = 'd0'").await?;
    store.put_document("saga", "d0", "saga: order-fulfillment").await?;
    assert_eq!(store.get_document("saga", "d0").await?.as_deref(), Some("saga: order-fulfillment"));
    assert_eq!(store.get_document("saga", "d1").await?.as_deref(), Some("saga: invoice"));
    Ok(())
}
