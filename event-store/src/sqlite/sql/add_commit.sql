INSERT INTO commits (stream, version) VALUES (?1, ?2)
