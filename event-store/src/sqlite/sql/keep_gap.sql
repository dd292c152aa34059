INSERT INTO shard_gaps (shard, began_at, ended_at)
SELECT ?1, ?3, ?4 FROM shard_epochs WHERE shard = ?1 AND epoch = ?2
ON CONFLICT (shard, began_at) DO UPDATE SET ended_at = max(ended_at, excluded.ended_at)
