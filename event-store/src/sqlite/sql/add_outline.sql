INSERT INTO journal_outlines (stream, version, outline) VALUES (?1, ?2, ?3)
