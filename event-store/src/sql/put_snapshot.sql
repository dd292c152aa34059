INSERT INTO snapshots (stream, version, append_id, format, state) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (stream) DO UPDATE
    SET version = excluded.version, append_id = excluded.append_id, format = excluded.format, state = excluded.state
