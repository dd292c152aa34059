UPDATE archives
SET file = $3, row_count = $4, bytes = $5, sha256 = $6, replaced = $7
WHERE number = $1 AND file = $2 AND replaced IS NULL AND state <> 'writing'
RETURNING number
