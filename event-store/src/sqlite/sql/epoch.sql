SELECT epoch FROM shard_epochs WHERE shard = ?1
