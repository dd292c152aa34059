-- As on Postgres.
CREATE TABLE acts (
    stream  BLOB    NOT NULL,
    version INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    key     TEXT    NOT NULL,
    who     TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    PRIMARY KEY (stream, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX acts_at ON acts (at, stream, version);
CREATE INDEX acts_who ON acts (who, at, stream, version);
