INSERT INTO documents AS d (kind, hash, body) VALUES ($1, $2, $3)
ON CONFLICT (kind, hash) DO UPDATE SET body = excluded.body WHERE d.body <> excluded.body
