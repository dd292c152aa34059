CREATE TABLE IF NOT EXISTS schema_versions (
    version    integer PRIMARY KEY,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
