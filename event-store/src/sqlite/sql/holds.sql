SELECT 1 FROM shard_epochs WHERE shard = ?1 AND epoch = ?2
