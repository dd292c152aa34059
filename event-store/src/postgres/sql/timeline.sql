-- The name of a segment of the log begins with the timeline, in hexadecimal.
SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint AS timeline
