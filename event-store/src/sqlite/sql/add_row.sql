INSERT INTO journal (stream, version, append_id, recorded_at, payload) VALUES (?1, ?2, ?3, ?4, ?5)
