INSERT INTO streams (stream, shard, category, key, document, status, open, step, reason, started_at, updated_at, flags, code, erased_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
ON CONFLICT (stream) DO UPDATE SET shard = excluded.shard, category = excluded.category, key = excluded.key,
    document = excluded.document, status = excluded.status, open = excluded.open, step = excluded.step,
    reason = excluded.reason, started_at = excluded.started_at, updated_at = excluded.updated_at,
    flags = excluded.flags, code = excluded.code, erased_at = excluded.erased_at
