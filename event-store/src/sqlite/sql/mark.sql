UPDATE streams SET status = ?4, reason = ?5, updated_at = ?6, waits_on = NULL, code = ?7
WHERE stream = ?3 AND shard = ?1 AND open
  AND EXISTS (SELECT 1 FROM shard_epochs e WHERE e.shard = ?1 AND e.epoch = ?2)
