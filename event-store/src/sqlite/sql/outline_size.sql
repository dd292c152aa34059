SELECT coalesce(sum(coalesce(length(o.outline), length(j.payload))), 0) AS bytes
FROM journal j
LEFT JOIN journal_outlines o ON o.stream = j.stream AND o.version = j.version
WHERE j.stream = ?1
