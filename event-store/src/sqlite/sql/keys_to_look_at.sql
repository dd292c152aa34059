SELECT count(*) AS looked_at, max(key) AS last_key
FROM (SELECT key FROM stream_keys WHERE category = ?1 AND key > ?2 ORDER BY key LIMIT ?3)
