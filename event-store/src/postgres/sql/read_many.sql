SELECT stream, version::bigint AS version, recorded_at, append_id, payload
FROM journal
WHERE stream = ANY ($1)
ORDER BY stream, journal.version
