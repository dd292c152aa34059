INSERT INTO letter_logs (topic, partition, log, position, mark)
SELECT ?1, ?2, ?5, ?6, ?7
WHERE ?3 = 0 OR EXISTS (SELECT 1 FROM letter_logs WHERE topic = ?1 AND partition = ?2)
ON CONFLICT (topic, partition) DO UPDATE SET log = excluded.log, position = excluded.position, mark = excluded.mark
WHERE log = ?3 AND position = ?4
