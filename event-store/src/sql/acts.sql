SELECT stream, CAST(version AS bigint) AS version, at, key, who, action, reason, id
FROM acts
WHERE (at, stream, version) < ($1, $2, $3) AND at >= $4
ORDER BY at DESC, stream DESC, version DESC
LIMIT $5
