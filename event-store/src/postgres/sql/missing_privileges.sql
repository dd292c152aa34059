-- Lists the privileges that the role does not have, for people; null: it has all of them. $1: whether the store writes.
SELECT string_agg(needed.privilege || ' on ' || needed.name, ', ') AS missing
FROM (VALUES
    ('shard_epochs', 'SELECT', false), ('shard_epochs', 'INSERT', true), ('shard_epochs', 'UPDATE', true),
    ('journal', 'SELECT', false), ('journal', 'INSERT', true), ('journal', 'UPDATE', true),
    ('stream_keys', 'SELECT', false), ('stream_keys', 'INSERT', true), ('stream_keys', 'UPDATE', true), ('stream_keys', 'DELETE', true),
    ('streams', 'SELECT', false), ('streams', 'INSERT', true), ('streams', 'UPDATE', true),
    ('shard_attendance', 'SELECT', false), ('shard_attendance', 'INSERT', true), ('shard_attendance', 'UPDATE', true),
    ('shard_gaps', 'SELECT', false), ('shard_gaps', 'INSERT', true), ('shard_gaps', 'UPDATE', true), ('shard_gaps', 'DELETE', true),
    ('partitions', 'SELECT', false),
    ('data_keys', 'SELECT', false), ('data_keys', 'INSERT', true), ('data_keys', 'UPDATE', true), ('data_keys', 'DELETE', true),
    ('key_encryption_keys', 'SELECT', false), ('key_encryption_keys', 'INSERT', true), ('key_encryption_keys', 'DELETE', true),
    ('archives', 'SELECT', false), ('archives', 'INSERT', true), ('archives', 'UPDATE', true), ('archives', 'DELETE', true),
    ('archive_erasures', 'SELECT', false), ('archive_erasures', 'INSERT', true), ('archive_erasures', 'UPDATE', true),
    ('archive_erasures', 'DELETE', true),
    ('documents', 'SELECT', false), ('documents', 'INSERT', true), ('documents', 'UPDATE', true),
    ('commits', 'SELECT', false), ('commits', 'INSERT', true),
    ('feed_state', 'SELECT', false), ('feed_state', 'UPDATE', true),
    ('snapshots', 'SELECT', false), ('snapshots', 'INSERT', true), ('snapshots', 'UPDATE', true), ('snapshots', 'DELETE', true),
    ('projections', 'SELECT', false), ('projections', 'INSERT', true), ('projections', 'UPDATE', true), ('projections', 'DELETE', true),
    ('projection_rows', 'SELECT', false), ('projection_rows', 'INSERT', true), ('projection_rows', 'UPDATE', true),
    ('projection_rows', 'DELETE', true),
    ('notes', 'SELECT', false), ('notes', 'INSERT', true),
    ('acts', 'SELECT', false), ('acts', 'INSERT', true),
    ('dead_letters', 'SELECT', false), ('dead_letters', 'INSERT', true), ('dead_letters', 'UPDATE', true), ('dead_letters', 'DELETE', true),
    ('letter_logs', 'SELECT', false), ('letter_logs', 'INSERT', true), ('letter_logs', 'UPDATE', true),
    ('letter_acts', 'SELECT', false), ('letter_acts', 'INSERT', true),
    ('heartbeats', 'SELECT', true), ('heartbeats', 'INSERT', true), ('heartbeats', 'UPDATE', true), ('heartbeats', 'DELETE', true)
) AS needed (name, privilege, writes)
WHERE ($1 OR NOT needed.writes) AND NOT has_table_privilege(needed.name, needed.privilege)
