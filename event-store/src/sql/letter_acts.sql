SELECT number, at, topic, partition, position, id, who, action, why, result, act_id, subject, token, address, request, before, after
FROM letter_acts
WHERE (at, number) < ($1, $2) AND at >= $3 AND ($4 IS NULL OR who = $4) AND ($5 IS NULL OR id = $5)
  AND ($7 = '' OR action = $7 OR substr(action, 1, length($7) + 1) = $7 || ' ')
ORDER BY at DESC, number DESC
LIMIT $6
