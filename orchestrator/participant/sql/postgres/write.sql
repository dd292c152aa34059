UPDATE saga_commands SET state = $2, answer = $3, attempt = $4, at = now() WHERE command_id = $1 AND state = $5
