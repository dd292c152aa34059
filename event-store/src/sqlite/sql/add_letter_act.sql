INSERT INTO letter_acts (letter, at, topic, partition, position, id, who, action, why, result, act_id)
SELECT number, ?2, topic, partition, position, id, ?3, ?4, ?5, ?6, ?7 FROM dead_letters WHERE number = ?1
