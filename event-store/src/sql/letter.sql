SELECT d.number, d.topic, d.partition, d.position, d.id, d.code, d.origin_topic, d.origin_partition, d.origin_offset,
    d.definition, d.key, d.message, d.fingerprint, d.redrives, d.written_at, d.status, d.changed_at, d.who, d.why,
    d.result, d.stream, d.edit IS NOT NULL AS has_edit, d.edit, d.edit_key
FROM dead_letters d JOIN letter_logs l ON l.topic = d.topic AND l.partition = d.partition AND l.log = d.log
WHERE d.topic = $1 AND d.partition = $2 AND d.position = $3
