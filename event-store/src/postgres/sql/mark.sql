-- One row: whether the shard is held. The epoch is read without its lock: a claim at the same moment can leave an older word in the read
-- model, which decides nothing.
WITH held AS (
    SELECT EXISTS (SELECT 1 FROM shard_epochs e WHERE e.shard = $1 AND e.epoch = $2) AS yes
), marked AS (
    UPDATE streams s SET status = $4, reason = $5, updated_at = $6, waits_on = NULL, code = $7
    FROM held h WHERE h.yes AND s.stream = $3 AND s.shard = $1 AND s.open
)
SELECT h.yes AS held FROM held h
