-- The database does not load the payload of a row that has an outline.
SELECT stream, version::bigint AS version, recorded_at, append_id, coalesce(outline, payload) AS payload
FROM journal
WHERE stream = ANY ($1)
ORDER BY stream, journal.version
