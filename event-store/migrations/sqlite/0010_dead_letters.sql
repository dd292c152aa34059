-- The tables are those of Postgres, and the reasons are there.
CREATE TABLE dead_letters (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    topic            TEXT    NOT NULL,
    partition        INTEGER NOT NULL,
    log              INTEGER NOT NULL,
    position         INTEGER NOT NULL,
    id               TEXT    NOT NULL,
    code             TEXT    NOT NULL,
    origin_topic     TEXT,
    origin_partition INTEGER,
    origin_offset    INTEGER,
    definition       TEXT,
    key              TEXT,
    message          TEXT    NOT NULL,
    fingerprint      TEXT    NOT NULL,
    redrives         INTEGER NOT NULL,
    written_at       INTEGER NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN ('new', 'reviewing', 'redriven', 'discarded')),
    changed_at       INTEGER,
    who              TEXT,
    why              TEXT,
    result           TEXT,
    edit             BLOB,
    edit_key         BLOB,
    UNIQUE (topic, partition, log, position)
) STRICT;
CREATE INDEX dead_letters_open ON dead_letters (number) WHERE status IN ('new', 'reviewing');
CREATE INDEX dead_letters_group ON dead_letters (fingerprint, number);
CREATE INDEX dead_letters_key ON dead_letters (key, number);
CREATE INDEX dead_letters_id ON dead_letters (id, number);
CREATE INDEX dead_letters_written ON dead_letters (written_at);

CREATE TABLE letter_logs (
    topic     TEXT    NOT NULL,
    partition INTEGER NOT NULL,
    log       INTEGER NOT NULL CHECK (log > 0),
    position  INTEGER NOT NULL,
    mark      TEXT,
    PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE letter_acts (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    letter    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    topic     TEXT    NOT NULL,
    partition INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    id        TEXT    NOT NULL,
    who       TEXT    NOT NULL,
    action    TEXT    NOT NULL,
    why       TEXT    NOT NULL,
    result    TEXT,
    act_id    TEXT    NOT NULL,
    UNIQUE (letter, act_id)
) STRICT;
CREATE INDEX letter_acts_at ON letter_acts (at, number);
CREATE INDEX letter_acts_who ON letter_acts (who, at, number);
CREATE INDEX letter_acts_id ON letter_acts (id, at, number);
