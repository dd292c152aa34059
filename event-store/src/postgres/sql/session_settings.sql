-- What holds in a session of the store whatever the server, the database and the role have as defaults. Settings that this version of
-- Postgres does not have are left out.
SELECT set_config(wanted.name, wanted.setting, false)
FROM (VALUES
    -- Bounds on what one statement may do to the others.
    ('statement_timeout', '10s'),
    ('lock_timeout', '5s'),
    ('idle_in_transaction_session_timeout', '10s'),
    ('transaction_timeout', '30s'),
    -- The fence: in one transaction, what is read after a lock has to show what was committed while it was waited for.
    ('default_transaction_isolation', 'read committed'),
    -- A session whose client is gone or cannot be reached ends within 20 s, and with it whatever it holds.
    ('tcp_keepalives_idle', '5'),
    ('tcp_keepalives_interval', '5'),
    ('tcp_keepalives_count', '3'),
    ('tcp_user_timeout', '20s')
) AS wanted (name, setting)
JOIN pg_settings USING (name)
UNION ALL
-- A commit that is answered survives a crash. Who asks for more than that gets it.
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')
