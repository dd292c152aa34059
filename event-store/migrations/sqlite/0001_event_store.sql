-- The tables are those of Postgres, and the reasons are there. Ids and hashes are blobs, booleans are 0 and 1.

CREATE TABLE installation (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    id     BLOB    NOT NULL,
    shards INTEGER NOT NULL CHECK (shards BETWEEN 1 AND 4096)
) STRICT;

CREATE TABLE shard_epochs (
    shard INTEGER PRIMARY KEY CHECK (shard BETWEEN 0 AND 4095),
    epoch INTEGER NOT NULL CHECK (epoch > 0),
    owner TEXT    NOT NULL
) STRICT;

CREATE TABLE journal (
    stream      BLOB    NOT NULL,
    version     INTEGER NOT NULL CHECK (version > 0),
    append_id   BLOB    NOT NULL,
    recorded_at INTEGER NOT NULL,
    payload     BLOB    NOT NULL,
    PRIMARY KEY (stream, version)
) STRICT, WITHOUT ROWID;

-- A table of its own: SQLite has to read a large payload to reach a column after it.
CREATE TABLE journal_outlines (
    stream  BLOB    NOT NULL,
    version INTEGER NOT NULL,
    outline BLOB    NOT NULL,
    PRIMARY KEY (stream, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE stream_keys (
    category     TEXT NOT NULL,
    key          TEXT NOT NULL,
    stream       BLOB NOT NULL,
    payload_hash BLOB NOT NULL CHECK (length(payload_hash) = 32),
    PRIMARY KEY (category, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE streams (
    stream     BLOB    NOT NULL PRIMARY KEY,
    shard      INTEGER NOT NULL,
    category   TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    document   TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    open       INTEGER NOT NULL CHECK (open IN (0, 1)),
    step       TEXT,
    reason     TEXT,
    started_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    flags      TEXT,
    code       TEXT,
    erased_at  INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX streams_open ON streams (shard, stream) WHERE open;
CREATE INDEX streams_key ON streams (key);
CREATE INDEX streams_flagged ON streams (stream) WHERE flags IS NOT NULL;
CREATE INDEX streams_failed ON streams (code, stream) WHERE code IS NOT NULL;

-- What streams wait for, which is a column on Postgres. Only streams that wait have rows.
CREATE TABLE stream_waits (
    stream BLOB NOT NULL,
    kind   TEXT NOT NULL,
    name   TEXT NOT NULL,
    PRIMARY KEY (stream, kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
    kind TEXT NOT NULL,
    hash TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE shard_attendance (
    shard INTEGER PRIMARY KEY CHECK (shard BETWEEN 0 AND 4095),
    until INTEGER NOT NULL
) STRICT;

CREATE TABLE shard_gaps (
    shard    INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL CHECK (ended_at > began_at),
    PRIMARY KEY (shard, began_at)
) STRICT, WITHOUT ROWID;

-- The mark of the engine. A new mark proves that writes work.
CREATE TABLE heartbeats (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    owner  TEXT    NOT NULL,
    number INTEGER NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

CREATE TABLE notes (
    topic  TEXT    NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    id     BLOB    NOT NULL,
    at     INTEGER NOT NULL,
    body   TEXT    NOT NULL,
    PRIMARY KEY (topic, number),
    UNIQUE (topic, id)
) STRICT, WITHOUT ROWID;
