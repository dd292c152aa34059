SELECT stream, version::bigint AS version FROM snapshots WHERE stream = ANY ($1)
