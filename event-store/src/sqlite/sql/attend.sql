INSERT INTO shard_attendance (shard, until)
SELECT ?1, ?3 FROM shard_epochs WHERE shard = ?1 AND epoch = ?2
ON CONFLICT (shard) DO UPDATE SET until = max(until, excluded.until)
