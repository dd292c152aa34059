UPDATE stream_keys SET payload_hash = ?4 WHERE category = ?1 AND key = ?2 AND stream = ?3
