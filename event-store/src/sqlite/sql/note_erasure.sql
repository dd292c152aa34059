INSERT INTO archive_erasures (stream, line) VALUES (?1, ?2)
ON CONFLICT (stream) DO UPDATE SET line = coalesce(excluded.line, line)
