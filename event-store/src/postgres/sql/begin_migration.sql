-- One start at a time migrates; the others wait for it, and then find nothing left to do. A migration takes as long as it takes.
-- That the table of versions is there already is no news.
SET LOCAL client_min_messages = warning;
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '60s';
SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout';
SELECT pg_advisory_xact_lock(1396786000);
