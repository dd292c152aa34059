SELECT stream, CAST(version AS bigint) AS version, at, key, who, action, reason, id
FROM acts
WHERE stream BETWEEN $1 AND $2
ORDER BY stream, version
