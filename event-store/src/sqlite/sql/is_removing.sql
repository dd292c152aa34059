SELECT 1 FROM archives WHERE number = ?1 AND state = 'removing'
