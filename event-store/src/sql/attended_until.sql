SELECT until FROM shard_attendance WHERE shard = $1
