-- For the session that migrates, which ends with that. A migration takes as long as it takes, but waits no longer than this for another
-- engine that migrates. That the table of versions is there already is no news.
SET client_min_messages = warning;
SET statement_timeout = 0;
SET lock_timeout = '60s';
SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout';
