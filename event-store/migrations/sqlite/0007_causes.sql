-- The same column as on Postgres; see there for the reasons.
ALTER TABLE streams ADD COLUMN code TEXT;
CREATE INDEX streams_failed ON streams (code, stream) WHERE code IS NOT NULL;
