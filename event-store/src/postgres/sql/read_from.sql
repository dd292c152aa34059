SELECT version::bigint AS version, recorded_at, append_id, payload
FROM journal
WHERE stream = $1 AND journal.version >= $2
ORDER BY journal.version
