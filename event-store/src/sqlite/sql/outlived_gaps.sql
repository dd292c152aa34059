DELETE FROM shard_gaps
WHERE shard = ?1
  AND ended_at < coalesce(
      (SELECT started_at FROM streams WHERE streams.shard = ?1 AND open ORDER BY stream LIMIT 1), ?2 - 3600000)
