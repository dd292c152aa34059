SELECT stream, payload_hash FROM stream_keys WHERE category = $1 AND key = $2
