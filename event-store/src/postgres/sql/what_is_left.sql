-- Finds what the database does not have of the commits that this process knows. A standby that lagged lacks the end of
-- the log, so the newest commits are enough. $1 to $3: the last claim of each shard, $4 to $6: the last appends, $7:
-- the writer of the heartbeats.
SELECT
    (SELECT id FROM installation) AS installation,
    (SELECT array_agg(k.shard)
     FROM unnest($1::integer[], $2::bigint[], $3::text[]) AS k (shard, epoch, owner)
     LEFT JOIN shard_epochs e ON e.shard = k.shard
     WHERE e.epoch IS NULL OR e.epoch < k.epoch OR (e.epoch = k.epoch AND e.owner <> k.owner)) AS missing_claims,
    (SELECT array_agg(k.position::integer)
     FROM unnest($4::uuid[], $5::integer[], $6::uuid[]) WITH ORDINALITY AS k (stream, version, append_id, position)
     LEFT JOIN journal j ON j.stream = k.stream AND j.version = k.version
     WHERE j.append_id IS DISTINCT FROM k.append_id) AS missing_appends,
    (SELECT h.number FROM heartbeats h WHERE h.writer = $7) AS beat,
    (SELECT h.at FROM heartbeats h WHERE h.writer = $7) AS beat_at
