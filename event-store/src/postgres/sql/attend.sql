-- $1 shards, $2 epochs, $3 until; gaps: $4 shards, $5 beginnings, $6 ends.
WITH held AS (
    SELECT a.shard, a.until
    FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS a (shard, epoch, until)
    JOIN shard_epochs e ON e.shard = a.shard AND e.epoch = a.epoch
), gaps AS (
    SELECT g.shard, g.began_at, max(g.ended_at) AS ended_at
    FROM unnest($4::integer[], $5::bigint[], $6::bigint[]) AS g (shard, began_at, ended_at)
    JOIN held USING (shard)
    WHERE g.ended_at > g.began_at
    GROUP BY g.shard, g.began_at
), outlived AS (
    -- Ids of streams begin with their time, so the first open stream is the oldest. Without an open stream, an append
    -- under way may bring one that started up to an hour ago.
    DELETE FROM shard_gaps old USING (SELECT shard, min(began_at) AS began_at FROM gaps GROUP BY shard) AS new
    WHERE old.shard = new.shard
      AND old.ended_at < coalesce(
          (SELECT s.started_at FROM streams s WHERE s.shard = old.shard AND s.open ORDER BY s.stream LIMIT 1),
          new.began_at - 3600000)
), kept AS (
    INSERT INTO shard_gaps AS k (shard, began_at, ended_at) SELECT shard, began_at, ended_at FROM gaps
    ON CONFLICT (shard, began_at) DO UPDATE SET ended_at = greatest(k.ended_at, excluded.ended_at)
)
INSERT INTO shard_attendance AS a (shard, until) SELECT shard, until FROM held
ON CONFLICT (shard) DO UPDATE SET until = excluded.until WHERE a.until < excluded.until
