SELECT stream, CAST(version AS bigint) AS version, at, key, who, action, reason, id, subject, token, address, request, before, after
FROM acts
WHERE stream BETWEEN $1 AND $2
ORDER BY stream, version
