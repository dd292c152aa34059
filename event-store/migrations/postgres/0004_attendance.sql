-- Until when the owner of a shard attended to it, in milliseconds since the epoch by its clock. Of its own, not in shard_epochs: those rows
-- are read by every append, and these change every few seconds.
CREATE TABLE shard_attendance (
    shard integer PRIMARY KEY CHECK (shard BETWEEN 0 AND 4095),
    until bigint  NOT NULL
) WITH (fillfactor = 50);

-- When nobody did. A row goes when no open stream is old enough to have lived through it.
CREATE TABLE shard_gaps (
    shard    integer NOT NULL,
    began_at bigint  NOT NULL,
    ended_at bigint  NOT NULL CHECK (ended_at > began_at),
    PRIMARY KEY (shard, began_at)
);
