SELECT stream, category, key, document, status, step, reason, started_at, updated_at, waits_on, flags, code
FROM streams
