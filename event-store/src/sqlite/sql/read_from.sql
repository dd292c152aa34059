SELECT version, recorded_at, append_id, payload FROM journal WHERE stream = ?1 AND version >= ?2 ORDER BY version
