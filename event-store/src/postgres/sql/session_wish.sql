-- Ends a statement whose client has closed its connection. On platforms that do not support this the setting is an
-- error.
SELECT set_config(name, '5s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'
