UPDATE archives
SET state = 'removing', file = $2, streams = $3, row_count = $4, dropped = $5, bytes = $6, sha256 = $7, categories = $8,
    newest_ms = $9
WHERE number = $1 AND state = 'writing'
RETURNING number
