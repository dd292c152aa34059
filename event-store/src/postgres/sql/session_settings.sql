-- The settings of every session of the store, whatever defaults the server, the database and the role have. Settings
-- that this version of Postgres does not have are left out.
SELECT set_config(wanted.name, wanted.setting, false)
FROM (VALUES
    -- Limits for the time that one statement can hold up others.
    ('statement_timeout', '10s'),
    ('lock_timeout', '5s'),
    ('idle_in_transaction_session_timeout', '10s'),
    ('transaction_timeout', '30s'),
    -- Fencing: a statement that follows the wait for a lock has to see what was committed during the wait.
    ('default_transaction_isolation', 'read committed'),
    -- The server ends a session within 20 s, with its locks, if its client stopped or cannot be reached.
    ('tcp_keepalives_idle', '5'),
    ('tcp_keepalives_interval', '5'),
    ('tcp_keepalives_count', '3'),
    ('tcp_user_timeout', '20s')
) AS wanted (name, setting)
JOIN pg_settings USING (name)
UNION ALL
-- A confirmed commit survives a crash. A stricter setting stays.
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')
