INSERT INTO archives (number, state, from_ms, to_ms, begun_ms)
SELECT coalesce(max(number), 0) + 1, 'writing', $1, $2, $3 FROM archives
RETURNING number
