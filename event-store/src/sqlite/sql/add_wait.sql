INSERT INTO stream_waits (stream, kind, name) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING
