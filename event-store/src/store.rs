//! The seam.

use crate::{
    Activity, Append, Appended, Attendance, Attended, Confirmed, Dimension, Epoch, Error, Filter, Flagged, Mark,
    Marked, NewNote, Note, NoteNumber, Portion, Row, Sessions, Standing, StepBack, StreamSummary, Sweep, Swept, Tally,
    WaitsOn,
};
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::watch;
use uuid::Uuid;

/// What a store is, fixed when it was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Drawn at random at creation; what belongs to this store carries it.
    pub installation: Uuid,
    /// How many shards it has.
    pub shards: u16,
}

impl Identity {
    /// The same, if it has as many shards as the configuration says.
    ///
    /// # Errors
    /// When it has not.
    pub(crate) fn with_shards(self, configured: u16) -> Result<Identity, Error> {
        if self.shards == configured { Ok(self) } else { Err(Error::Shards { stored: self.shards, configured }) }
    }
}

/// Streams of versioned rows. Used as `Arc<dyn EventStore>`. Cancelling a future never leaves a transaction open and never undoes what was
/// committed.
#[async_trait]
pub trait EventStore: std::fmt::Debug + Send + Sync {
    /// What the store is.
    fn identity(&self) -> Identity;

    /// Raises the shard's epoch and returns it. From then on no append of an older epoch is committed. A crash in between leaves the epoch
    /// raised and unused. A shard that the store does not have is an [`Error::Limit`].
    async fn claim(&self, shard: u16, owner: &str) -> Result<Epoch, Error>;

    /// Records until when shards were attended to, each under its owner's epoch: of an older claim nothing is kept, and nothing that says
    /// less than is on record. A gap is on record before the end that lies after it, or with it. A repeat changes nothing.
    async fn attend(&self, all: &[Attended]) -> Result<(), Error>;

    /// Until when the owners of a shard attended to it, and the gaps that streams which are still open lived through.
    async fn attendance(&self, shard: u16) -> Result<Attendance, Error>;

    /// What the database's clock says, in milliseconds since the epoch; for SQLite that of this machine.
    async fn clock_ms(&self) -> Result<i64, Error>;

    /// Writes a batch in one transaction and answers each append alone, in order: one that is a duplicate, a conflict or fenced does not
    /// fail the others. A row is written with its key and its change of the read model, or nothing of it is. At most one append of a stream,
    /// [`crate::MAX_BATCH_ROWS`] rows and [`crate::MAX_BATCH_BYTES`] of payload.
    ///
    /// Of several answers the first that is true: committed under this append id, fenced, duplicate key, conflict.
    ///
    /// # Errors
    /// [`Error::Limit`] when one append breaks a limit: none of the batch was sent, and the others can be sent without it.
    /// [`Error::Refused`] when the database takes one append's values for faulty: nothing of this call was written; the others can be sent
    /// without it. [`Error::Damaged`] when what is stored of one append's key cannot be read: the same append alone finds out which, and a
    /// repeat of the others answers truly. What [`Error::is_transient`]: it is not known what was committed; the same batch again answers [`Appended::Committed`]
    /// for what was.
    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>, Error>;

    /// Changes what the read model says of a stream, beside its rows: for a stream that its owner cannot read. The next append of the stream
    /// that brings a summary says otherwise.
    async fn mark(&self, mark: &Mark) -> Result<Marked, Error>;

    /// All rows of a stream, oldest first; none if there is no such stream.
    async fn read(&self, stream: Uuid) -> Result<Vec<Row>, Error>;

    /// All rows of several streams, by stream and version; at most [`crate::MAX_PAGE`] streams.
    async fn read_many(&self, streams: &[Uuid]) -> Result<Vec<(Uuid, Row)>, Error>;

    /// All rows of the first of several streams, by stream and version: of as many as have at most `max_bytes` of payload together, and of
    /// one however large it is. At most [`crate::MAX_PAGE`] streams; those that were not reached are [`Portion::left`].
    ///
    /// What a stream has is measured before it is read: a row that is appended in between comes on top. None is in a shard that the caller
    /// has claimed and does not write to meanwhile.
    async fn read_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<Portion, Error>;

    /// As [`EventStore::read_within`], with the outlines of rows that have one in place of their payloads: neither is such a payload loaded
    /// nor does it count.
    async fn outlines_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<Portion, Error>;

    /// A page of the shard's open streams after `after`, ascending.
    async fn open_streams(&self, shard: u16, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, Error>;

    /// The version of a stream's last row, found without its payload; `None`: there is no such stream.
    async fn last_version(&self, stream: Uuid) -> Result<Option<u32>, Error>;

    /// The read model's row of a stream.
    async fn summary(&self, stream: Uuid) -> Result<Option<StreamSummary>, Error>;

    /// A page of the read model, newest streams first.
    async fn list(&self, filter: &Filter) -> Result<Vec<StreamSummary>, Error>;

    /// How many of the streams that `filter` matches agree in what they are counted `by`, the most first; at most [`Filter::limit`] groups.
    /// Looks at every stream that matches, and of those that have ended at as many as [`Filter::from`] lets it.
    async fn tally(&self, filter: &Filter, by: &[Dimension]) -> Result<Vec<Tally>, Error>;

    /// How many streams there are, by category and status.
    async fn counts(&self) -> Result<Vec<(String, String, i64)>, Error>;

    /// How many streams wait on what; one that waits on several counts for each.
    async fn waiting_counts(&self) -> Result<Vec<(WaitsOn, i64)>, Error>;

    /// Forgets keys of streams that ended long ago, a page at a time in an order of the store's own: from then on such a key starts a new
    /// stream. Without it a key stays taken for ever, which is what keeps a record that is delivered once more from starting its stream
    /// again; so the time has to be longer than such records live.
    ///
    /// A key stays taken while its stream is open, and where the read model does not know its stream. Rows and the read model stay as they
    /// are, so several streams of a category can then have the same key. Needs no claim: a stream that is not open stays so, and an append
    /// that takes a key while it is forgotten is a duplicate, starts its stream, or is a conflict whose repeat starts it. A call that
    /// breaks off has forgotten its page or nothing; either way the page can be swept again.
    ///
    /// # Errors
    /// [`Error::Limit`] when it looks at no key or at more than [`crate::MAX_PAGE`].
    async fn forget_keys(&self, sweep: &Sweep) -> Result<Swept, Error>;

    /// How the open streams stand, by category and status. Looks at every open stream, and at none that has ended.
    async fn standing(&self) -> Result<Vec<Standing>, Error>;

    /// How many streams have which flags.
    async fn flagged(&self) -> Result<Vec<Flagged>, Error>;

    /// This process's connections to the database.
    fn sessions(&self) -> Sessions;

    /// Keeps a text under its kind and hash; a repeat changes nothing.
    async fn put_document(&self, kind: &str, hash: &str, body: &str) -> Result<(), Error>;

    /// The text kept under kind and hash.
    async fn get_document(&self, kind: &str, hash: &str) -> Result<Option<String>, Error>;

    /// Adds a note to the end of its topic's log, and returns its place there. The same id in the same topic again is the same note: it
    /// stays as it was first added, and its place is returned. Needs no claim; writers of one topic wait for each other.
    ///
    /// # Errors
    /// [`Error::Limit`] when topic or body break a limit; nothing was sent. After what [`Error::is_transient`] add the same note again.
    async fn add_note(&self, note: &NewNote) -> Result<NoteNumber, Error>;

    /// A page of a topic's notes after `after`, in their order, at most [`crate::MAX_NOTES`]. Notes become visible in the order of their
    /// numbers, whoever writes: whoever reads on after the last number it saw misses none. An empty page is the end for now.
    async fn notes(&self, topic: &str, after: NoteNumber, limit: u32) -> Result<Vec<Note>, Error>;

    /// Writes a mark of this process and commits it: when it returns, the database takes writes. `at_ms` is now by the caller's clock, in
    /// milliseconds since the epoch; `owner` is for people who look into the database. Marks of processes that are gone are removed.
    async fn heartbeat(&self, owner: &str, at_ms: i64) -> Result<(), Error>;

    /// Tells when the database is found to have lost what it had confirmed: the last time that happened, `None` until it does. What this
    /// process had claimed is fenced then, and its next claims rise above all epochs that it knows.
    ///
    /// It is found by whoever opens a connection, among what this process wrote itself and remembers: the last appends, claims and heartbeat;
    /// and by [`EventStore::compare`].
    fn steps_back(&self) -> watch::Receiver<Option<Arc<StepBack>>>;

    /// What this process knows to be committed, to be kept elsewhere and given to [`EventStore::compare`] by a later process; `None` before
    /// its first heartbeat.
    fn confirmed(&self) -> Option<Confirmed>;

    /// Holds the database against what earlier processes knew to be committed, before this one claims anything. What is missing is told by
    /// [`EventStore::steps_back`]; the answer is which of `all` are missing, by position. The marks of a process stay for some days after
    /// its end only: nothing older may be given.
    async fn compare(&self, all: &[Confirmed]) -> Result<Vec<usize>, Error>;

    /// What the database has done so far; zeros where it does not say.
    async fn activity(&self) -> Result<Activity, Error>;
}
