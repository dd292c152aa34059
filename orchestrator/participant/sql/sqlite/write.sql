UPDATE saga_commands SET state = ?2, answer = ?3, attempt = ?4, at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE command_id = ?1 AND state = ?5
