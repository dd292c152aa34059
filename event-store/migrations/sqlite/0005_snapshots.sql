-- The table is that of Postgres, and the reasons are there.

CREATE TABLE snapshots (
    stream    BLOB    NOT NULL PRIMARY KEY,
    version   INTEGER NOT NULL CHECK (version > 0),
    append_id BLOB    NOT NULL,
    format    INTEGER NOT NULL CHECK (format > 0),
    state     BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
