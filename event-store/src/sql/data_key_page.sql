SELECT stream, wrapped FROM data_keys WHERE stream > $1 ORDER BY stream LIMIT $2
