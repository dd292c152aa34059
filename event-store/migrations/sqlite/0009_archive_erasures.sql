-- The column and the table are those of Postgres, and the reasons are there.
ALTER TABLE archives ADD COLUMN replaced TEXT;

CREATE TABLE archive_erasures (
    stream BLOB NOT NULL PRIMARY KEY,
    line   BLOB
) STRICT, WITHOUT ROWID;
