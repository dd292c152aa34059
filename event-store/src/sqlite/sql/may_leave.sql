SELECT 1 FROM streams s
WHERE s.stream = ?1 AND s.open = 0 AND (SELECT max(j.version) FROM journal j WHERE j.stream = ?1) = ?2
