INSERT INTO projection_rows (name, generation, row_key, body) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (name, generation, row_key) DO UPDATE SET body = excluded.body
