INSERT INTO letter_acts (letter, at, topic, partition, position, id, who, action, why, result, act_id,
                         subject, token, address, request, before, after)
SELECT number, ?2, topic, partition, position, id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, '"' || ?12 || '"', '"' || ?13 || '"'
FROM dead_letters WHERE number = ?1
