SELECT d.xact_commit AS commits, (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint AS wal_bytes
FROM pg_stat_database d
WHERE d.datname = current_database()
