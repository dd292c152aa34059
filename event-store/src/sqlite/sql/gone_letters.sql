SELECT d.number, d.edit_key
FROM dead_letters d JOIN letter_logs l ON l.topic = d.topic AND l.partition = d.partition
WHERE d.topic = ?3 AND d.partition = ?4 AND (d.log < l.log OR d.position < ?5) AND d.written_at < ?1
ORDER BY d.number LIMIT ?2
