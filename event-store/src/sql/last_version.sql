SELECT CAST(max(version) AS bigint) AS version FROM journal WHERE stream = $1
