SELECT max(version) AS version FROM journal WHERE stream = $1
