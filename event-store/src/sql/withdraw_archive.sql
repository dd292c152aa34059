DELETE FROM archives WHERE number = $1 AND state = 'writing'
