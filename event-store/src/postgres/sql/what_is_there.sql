-- $1: writers of heartbeats, $2 to $4: the last append of each writer, or nulls.
SELECT h.number, h.at, k.stream IS NULL OR j.append_id IS NOT DISTINCT FROM k.append_id AS append
FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::uuid[]) WITH ORDINALITY AS k (writer, stream, version, append_id, position)
LEFT JOIN heartbeats h ON h.writer = k.writer
LEFT JOIN journal j ON j.stream = k.stream AND j.version = k.version
ORDER BY k.position
