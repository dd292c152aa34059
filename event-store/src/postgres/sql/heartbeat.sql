WITH gone AS (
    -- Only together with the first heartbeat of a process: one read of a small table for each start of an engine.
    DELETE FROM heartbeats
    WHERE seen < now() - interval '7 days' AND NOT EXISTS (SELECT FROM heartbeats mine WHERE mine.writer = $1)
)
INSERT INTO heartbeats AS h (writer, owner, number, at) VALUES ($1, $2, 1, $3)
ON CONFLICT (writer) DO UPDATE SET owner = excluded.owner, number = h.number + 1, at = excluded.at, seen = now()
RETURNING number
