-- The same tables as on Postgres; see there for the reasons.

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
