INSERT INTO heartbeats (one, owner, number, at) VALUES (1, ?1, 1, ?2)
ON CONFLICT (one) DO UPDATE SET owner = excluded.owner, number = number + 1, at = excluded.at
RETURNING number
