-- Ends a statement whose client has closed its connection. Not every platform of the server can, and then it is an error to ask for it.
SELECT set_config(name, '5s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'
