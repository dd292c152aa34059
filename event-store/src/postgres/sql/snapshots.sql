SELECT stream, version::bigint AS version, append_id, format::bigint AS format, state
FROM snapshots
WHERE stream = ANY ($1)
