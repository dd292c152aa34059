INSERT INTO installation (one, id, shards) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING
