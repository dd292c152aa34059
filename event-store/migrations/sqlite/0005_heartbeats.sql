-- The mark of the engine: that a write works is proved by one.
CREATE TABLE heartbeats (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    owner  TEXT    NOT NULL,
    number INTEGER NOT NULL,
    at     INTEGER NOT NULL
) STRICT;
