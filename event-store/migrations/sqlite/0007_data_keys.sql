-- The tables are those of Postgres, and the reasons are there.

CREATE TABLE data_keys (
    stream  BLOB NOT NULL PRIMARY KEY,
    wrapped BLOB NOT NULL CHECK (length(wrapped) > 9)
) STRICT, WITHOUT ROWID;

CREATE TABLE key_encryption_keys (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 16)
) STRICT, WITHOUT ROWID;
