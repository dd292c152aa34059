SELECT stream, version, append_id, format, state FROM snapshots WHERE stream = ?1
