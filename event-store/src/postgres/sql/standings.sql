SELECT stream, category, key, document, status, step, reason, started_at, updated_at,
       array_to_string(waits_on, ',') AS waits_on, flags, code, erased_at, shard::bigint AS shard, open
FROM streams
