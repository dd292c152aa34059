-- The same column as on Postgres; see there for the reasons.
ALTER TABLE streams ADD COLUMN waits_on TEXT;
CREATE INDEX streams_waiting ON streams (stream) WHERE waits_on IS NOT NULL;
