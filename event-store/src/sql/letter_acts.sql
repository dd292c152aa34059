SELECT number, at, topic, partition, position, id, who, action, why, result, act_id
FROM letter_acts
WHERE (at, number) < ($1, $2) AND at >= $3 AND ($4 IS NULL OR who = $4) AND ($5 IS NULL OR id = $5)
ORDER BY at DESC, number DESC
LIMIT $6
