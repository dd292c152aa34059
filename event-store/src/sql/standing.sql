-- Only open streams are looked at, by their index.
SELECT category, status, count(*) AS streams, min(started_at) AS oldest_started, min(updated_at) AS oldest_changed
FROM streams
WHERE open
GROUP BY category, status
ORDER BY category, status
