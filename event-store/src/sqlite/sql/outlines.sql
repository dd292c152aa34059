-- The database does not load the payload of a row that has an outline.
SELECT j.version, j.recorded_at, j.append_id, coalesce(o.outline, j.payload) AS payload
FROM journal j
LEFT JOIN journal_outlines o ON o.stream = j.stream AND o.version = j.version
WHERE j.stream = ?1
ORDER BY j.version
