INSERT INTO dead_letters (topic, partition, log, position, id, code, origin_topic, origin_partition, origin_offset,
                          definition, key, message, fingerprint, redrives, written_at, stream, status)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, 'new')
ON CONFLICT (topic, partition, log, position) DO NOTHING
