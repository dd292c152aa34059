SELECT stream, CAST(version AS bigint) AS version, at, key, who, action, reason, id, subject, token, address, request, before, after
FROM acts
WHERE (at, stream, version) < ($1, $2, $3) AND at >= $4
  AND ($6 = '' OR action = $6 OR substr(action, 1, length($6) + 1) = $6 || ' ') AND stream = $7
ORDER BY at DESC, stream DESC, version DESC
LIMIT $5
