-- The index of open streams finds them, so the database reads no stream that has ended.
SELECT category, status, count(*) AS streams, min(started_at) AS oldest_started, min(updated_at) AS oldest_changed
FROM streams
WHERE open
GROUP BY category, status
ORDER BY category, status
