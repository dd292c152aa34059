INSERT INTO installation (id, shards) VALUES ($1, $2) ON CONFLICT DO NOTHING
