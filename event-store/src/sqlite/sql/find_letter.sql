SELECT d.number, d.status, d.edit_key,
    EXISTS (SELECT 1 FROM letter_acts a WHERE a.letter = d.number AND a.act_id = ?4) AS earlier
FROM dead_letters d JOIN letter_logs l ON l.topic = d.topic AND l.partition = d.partition AND l.log = d.log
WHERE d.topic = ?1 AND d.partition = ?2 AND d.position = ?3
