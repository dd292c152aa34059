UPDATE archives SET state = 'done', ended_ms = $2 WHERE number = $1 AND state = 'removing'
