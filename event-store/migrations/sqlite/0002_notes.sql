-- The same table as on Postgres; see there for the reasons.

CREATE TABLE notes (
    topic  TEXT    NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    id     BLOB    NOT NULL,
    at     INTEGER NOT NULL,
    body   TEXT    NOT NULL,
    PRIMARY KEY (topic, number),
    UNIQUE (topic, id)
) STRICT, WITHOUT ROWID;
