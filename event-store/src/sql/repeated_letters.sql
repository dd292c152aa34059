SELECT d.id, count(*) AS letters, count(*) FILTER (WHERE d.status IN ('new', 'reviewing')) AS open
FROM dead_letters d JOIN letter_logs l ON l.topic = d.topic AND l.partition = d.partition AND l.log = d.log
WHERE d.id > $1
GROUP BY d.id
HAVING count(*) > 1
ORDER BY d.id
LIMIT $2
