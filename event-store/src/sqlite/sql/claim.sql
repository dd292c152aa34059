INSERT INTO shard_epochs (shard, epoch, owner) VALUES (?1, 1, ?2)
ON CONFLICT (shard) DO UPDATE SET epoch = epoch + 1, owner = excluded.owner
RETURNING epoch
