-- Returns one row: whether the epoch is current. It is read without the lock of the shard. A claim at the same moment
-- can leave an older status in the read model, from which nothing is decided.
WITH held AS (
    SELECT EXISTS (SELECT 1 FROM shard_epochs e WHERE e.shard = $1 AND e.epoch = $2) AS yes
), marked AS (
    UPDATE streams s SET status = $4, reason = $5, updated_at = $6, waits_on = NULL, code = $7
    FROM held h WHERE h.yes AND s.stream = $3 AND s.shard = $1 AND s.open
      AND (s.status, s.reason, s.code) IS DISTINCT FROM ($4, $5, $7)
)
SELECT h.yes AS held FROM held h
