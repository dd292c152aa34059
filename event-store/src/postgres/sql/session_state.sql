-- Reads the settings of a session back, in a transaction of its own.
SELECT pg_is_in_recovery() AS is_standby,
       current_setting('transaction_read_only') AS read_only,
       current_setting('server_encoding') AS encoding,
       current_setting('client_encoding') AS client_encoding,
       current_setting('transaction_isolation') AS isolation,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       pg_backend_pid() AS pid,
       (SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS started
