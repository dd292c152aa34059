SELECT stream, category, key, document, status, step, reason, started_at, updated_at, flags, code, erased_at, shard, open,
       (SELECT group_concat(w.kind || ':' || w.name, ',' ORDER BY w.kind, w.name)
        FROM stream_waits w WHERE w.stream = streams.stream) AS waits_on
FROM streams
