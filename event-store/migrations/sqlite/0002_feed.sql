-- The feed, as on Postgres. A file has one writer, so its rows are committed in the order of their positions.

CREATE TABLE commits (
    -- A position is never used again, also if the last rows are deleted.
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    stream   BLOB    NOT NULL,
    version  INTEGER NOT NULL
) STRICT;

CREATE TABLE feed_state (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    -- The feed no longer has the rows up to this one.
    floor_xid INTEGER NOT NULL
) STRICT;
INSERT INTO feed_state (one, floor_xid) VALUES (1, 0);

-- Rows that were written before the feed existed. Ids of streams rise with their start.
INSERT INTO commits (stream, version) SELECT stream, version FROM journal ORDER BY stream, version;
