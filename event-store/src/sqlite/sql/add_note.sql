INSERT INTO notes (topic, number, id, at, body)
SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4 FROM notes WHERE topic = ?1
ON CONFLICT (topic, id) DO NOTHING
