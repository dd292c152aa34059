//! Encryption at rest. The cases open the place with keys of their own, whatever keys it has.

use crate::{
    place::{Place, Store, key, ring_of},
    streams::{after, append, claim, commit, commit_all, rival_of, start},
};
use anyhow::{Result, ensure};
use saga_event_store::{AppendOutcome, KeyRing, RowPosition, SEAL_BYTES, StoreError, StreamAppend, StreamRow};
use uuid::Uuid;

const CANARY: &[u8] = b"canary-4711";
/// More than all payloads of a test together.
const ROOM: u64 = 1 << 20;

fn large(append: StreamAppend) -> StreamAppend {
    StreamAppend { payload: CANARY.repeat(1000), outline: Some(CANARY.to_vec()), ..append }
}

/// The rows in `table` whose column has the beginning of the canary.
async fn plain(place: &dyn Place, table: &str, column: &str) -> Result<i64> {
    let hex: String = CANARY.iter().map(|byte| format!("{byte:02x}")).collect();
    let literal =
        if place.address().starts_with("sqlite") { format!("X'{hex}'") } else { format!("'\\x{hex}'::bytea") };
    let length = CANARY.len();
    place.number(&format!("SELECT count(*) FROM {table} WHERE substr({column}, 1, {length}) = {literal}")).await
}

fn outlines(place: &dyn Place) -> &'static str {
    if place.address().starts_with("sqlite") { "journal_outlines" } else { "journal" }
}

async fn payloads(store: &Store, stream: Uuid) -> Result<Vec<Vec<u8>>, StoreError> {
    Ok(store.read(stream).await?.into_iter().map(|row| row.payload).collect())
}

pub(crate) async fn sealed_rows_hold_nothing_of_their_content(place: &dyn Place) -> Result<()> {
    let store = place.open_with(ring_of(1)).await?;
    let first = large(start(claim(&store).await?, "order-1"));
    let second = StreamAppend { payload: CANARY.to_vec(), outline: None, ..after(&first) };
    commit(&store, &first).await?;
    commit(&store, &second).await?;
    assert_eq!(plain(place, "journal", "payload").await?, 0);
    assert_eq!(plain(place, outlines(place), "outline").await?, 0);
    assert_eq!(place.rows("data_keys").await?, 1);
    let length = CANARY.len() + SEAL_BYTES;
    assert_eq!(place.number(&format!("SELECT count(*) FROM journal WHERE length(payload) = {length}")).await?, 1);
    let another = place.read_with(ring_of(1)).await?;
    for store in [&store, &another] {
        assert_eq!(payloads(store, first.stream).await?, [first.payload.clone(), CANARY.to_vec()]);
        let scanned = store.scan(RowPosition::default(), 10, ROOM).await?;
        assert_eq!(scanned[0].1.payload, first.payload);
        let outlined = store.outlines_within(&[first.stream], ROOM).await?.rows;
        let outlined: Vec<&[u8]> = outlined.iter().map(|(_, row)| row.payload.as_slice()).collect();
        assert_eq!(outlined, [CANARY, CANARY]);
        let whole: Vec<(Uuid, StreamRow)> = store.read_within(&[first.stream], ROOM).await?.rows;
        assert_eq!(whole, store.read_many(&[first.stream]).await?);
    }
    Ok(())
}

pub(crate) async fn a_store_needs_the_keys_of_its_streams(place: &dyn Place) -> Result<()> {
    let store = place.open_with(ring_of(1)).await?;
    commit(&store, &start(claim(&store).await?, "order-1")).await?;
    drop(store);
    for (ring, has) in [(KeyRing::default(), "has no key".to_owned()), (ring_of(2), format!("has {}", key(2).id()))] {
        let refused = place.open_with(ring).await.err();
        let Some(StoreError::Keys(text)) = refused else { anyhow::bail!("{refused:?}") };
        ensure!(text.contains(&format!("the key {} wraps", key(1).id())) && text.contains(&has), "{text}");
    }
    let previous = KeyRing { current: None, previous: vec![key(1)] };
    place.open_with(previous).await?;
    Ok(())
}

pub(crate) async fn what_began_plain_stays_plain_and_what_began_sealed_stays_sealed(place: &dyn Place) -> Result<()> {
    let store = place.open_with(KeyRing::default()).await?;
    let plain_one = StreamAppend { payload: CANARY.to_vec(), ..start(claim(&store).await?, "order-1") };
    commit(&store, &plain_one).await?;
    drop(store);
    let store = place.open_with(ring_of(1)).await?;
    let epoch = claim(&store).await?;
    let sealed_one = StreamAppend { payload: CANARY.to_vec(), ..start(epoch, "order-2") };
    let next = |row: &StreamAppend| StreamAppend { epoch, payload: CANARY.to_vec(), ..after(row) };
    commit_all(&store, &[next(&plain_one), sealed_one.clone()]).await?;
    assert_eq!(plain(place, "journal", "payload").await?, 2);
    drop(store);
    // With the key among the previous ones only, new streams are plain.
    let store = place.open_with(KeyRing { current: None, previous: vec![key(1)] }).await?;
    let epoch = claim(&store).await?;
    let third = StreamAppend { payload: CANARY.to_vec(), ..start(epoch, "order-3") };
    let next = StreamAppend { epoch, payload: CANARY.to_vec(), ..after(&sealed_one) };
    commit_all(&store, &[third.clone(), next]).await?;
    commit(&store, &StreamAppend { payload: CANARY.to_vec(), ..after(&third) }).await?;
    assert_eq!(plain(place, "journal", "payload").await?, 4);
    for stream in [plain_one.stream, sealed_one.stream, third.stream] {
        assert_eq!(payloads(&store, stream).await?, [CANARY, CANARY]);
    }
    Ok(())
}

/// As after a commit whose answer was lost.
pub(crate) async fn a_repeated_start_keeps_its_data_key(place: &dyn Place) -> Result<()> {
    let store = place.open_with(ring_of(1)).await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    commit(&store, &first).await?;
    commit(&store, &after(&first)).await?;
    let another = place.read_with(ring_of(1)).await?;
    assert_eq!(payloads(&another, first.stream).await?, [first.payload.clone(), after(&first).payload]);
    Ok(())
}

pub(crate) async fn a_refused_start_leaves_no_data_key(place: &dyn Place) -> Result<()> {
    let store = place.open_with(ring_of(1)).await?;
    let epoch = claim(&store).await?;
    let first = start(epoch, "order-1");
    let batch = [first.clone(), start(epoch, "order-1")];
    let answers = store.append(&batch).await?;
    ensure!(
        matches!(answers.as_slice(), [AppendOutcome::Committed, AppendOutcome::DuplicateKey { .. }]),
        "{answers:?}"
    );
    assert_eq!(append(&store, &rival_of(&first)).await?, AppendOutcome::Conflict);
    assert_eq!(place.rows("data_keys").await?, 1);
    commit(&store, &after(&first)).await?;
    let another = place.read_with(ring_of(1)).await?;
    assert_eq!(payloads(&another, first.stream).await?.len(), 2);
    Ok(())
}

pub(crate) async fn keys_are_rotated(place: &dyn Place) -> Result<()> {
    let old = place.open_with(ring_of(1)).await?;
    let first = start(claim(&old).await?, "order-1");
    commit(&old, &first).await?;
    drop(old);
    let both = KeyRing { current: Some(key(2)), previous: vec![key(1)] };
    let store = place.open_with(both.clone()).await?;
    let second = start(claim(&store).await?, "order-2");
    commit(&store, &second).await?;
    assert_eq!(store.rewrap_data_keys().await?, 1);
    // The next pass finds nothing, so the old key is not needed any more.
    assert_eq!(store.rewrap_data_keys().await?, 0);
    drop(store);
    let store = place.open_with(ring_of(2)).await?;
    assert_eq!(store.rewrap_data_keys().await?, 0);
    for row in [&first, &second] {
        assert_eq!(payloads(&store, row.stream).await?, std::slice::from_ref(&row.payload));
    }
    ensure!(matches!(place.read_with(ring_of(1)).await, Err(StoreError::Keys(_))));
    Ok(())
}

pub(crate) async fn a_changed_row_is_damage_of_its_stream_alone(place: &dyn Place) -> Result<()> {
    let store = place.open_with(ring_of(1)).await?;
    let epoch = claim(&store).await?;
    let (one, two) = (StreamAppend { recorded_at_ms: 77, ..start(epoch, "order-1") }, start(epoch, "order-2"));
    commit_all(&store, &[one.clone(), two.clone()]).await?;
    // The bytes of another row, as somebody who can write the database may put them in its place.
    let taken = "SELECT payload FROM journal WHERE recorded_at <> 77";
    place.run(&format!("UPDATE journal SET payload = ({taken}) WHERE recorded_at = 77")).await?;
    let read = store.read(one.stream).await;
    let Err(StoreError::Damaged(text)) = read else { anyhow::bail!("{read:?}") };
    ensure!(text.contains(&format!("row {}/1 cannot be opened", one.stream)), "{text}");
    assert_eq!(payloads(&store, two.stream).await?, [two.payload]);
    Ok(())
}
