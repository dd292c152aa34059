SELECT began_at, ended_at FROM shard_gaps WHERE shard = $1 ORDER BY began_at
