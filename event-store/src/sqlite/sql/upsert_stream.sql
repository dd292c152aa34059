INSERT INTO streams (stream, shard, category, key, document, status, open, step, reason, started_at, updated_at, flags, code)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
ON CONFLICT (stream) DO UPDATE SET status = excluded.status, open = excluded.open, step = excluded.step,
    reason = excluded.reason, updated_at = excluded.updated_at, flags = excluded.flags,
    document = excluded.document, code = excluded.code
RETURNING EXISTS (SELECT 1 FROM stream_waits w WHERE w.stream = ?1) AS waited
