-- Settings for the session that migrates, which ends afterwards. A migration has no time limit here, but it waits at
-- most 60 s for another engine that migrates. Postgres does not need to report that the table of versions exists.
SET client_min_messages = warning;
SET statement_timeout = 0;
SET lock_timeout = '60s';
SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout';
