INSERT INTO stream_keys (category, key, stream, payload_hash) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING
