-- The table is that of Postgres, and the reasons are there. One engine has the file, so there is no lease.
CREATE TABLE archives (
    number     INTEGER PRIMARY KEY,
    state      TEXT    NOT NULL CHECK (state IN ('writing', 'removing', 'done')),
    file       TEXT,
    from_ms    INTEGER NOT NULL,
    to_ms      INTEGER NOT NULL,
    streams    INTEGER NOT NULL DEFAULT 0,
    row_count  INTEGER NOT NULL DEFAULT 0,
    dropped    INTEGER NOT NULL DEFAULT 0,
    bytes      INTEGER NOT NULL DEFAULT 0,
    sha256     TEXT,
    categories TEXT    NOT NULL DEFAULT '',
    newest_ms  INTEGER,
    begun_ms   INTEGER NOT NULL,
    ended_ms   INTEGER
) STRICT;
