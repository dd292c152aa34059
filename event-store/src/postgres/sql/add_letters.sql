-- Letters and position change together, and only if the position is the one that the caller read. Of two callers the
-- second waits for the first, and then finds another position.
WITH moved AS (
    INSERT INTO letter_logs AS l (topic, partition, log, position, mark)
        SELECT $1, $2, $5, $6, $7
        WHERE $3 = 0 OR EXISTS (SELECT FROM letter_logs WHERE topic = $1 AND partition = $2)
    ON CONFLICT (topic, partition) DO UPDATE
        SET log = excluded.log, position = excluded.position, mark = excluded.mark
        WHERE l.log = $3 AND l.position = $4
    RETURNING 1 AS one
), written AS (
    INSERT INTO dead_letters (topic, partition, log, position, id, code, origin_topic, origin_partition, origin_offset,
                              definition, key, message, fingerprint, redrives, written_at, stream, status)
        SELECT $1, $2, $5, n.position, n.id, n.code, n.origin_topic, n.origin_partition, n.origin_offset,
               n.definition, n.key, n.message, n.fingerprint, n.redrives, n.written_at, n.stream, 'new'
        FROM moved CROSS JOIN unnest($8::bigint[], $9::text[], $10::text[], $11::text[], $12::integer[], $13::bigint[],
                                     $14::text[], $15::text[], $16::text[], $17::text[], $18::bigint[], $19::bigint[], $20::uuid[])
            WITH ORDINALITY AS n (position, id, code, origin_topic, origin_partition, origin_offset, definition, key,
                                  message, fingerprint, redrives, written_at, stream, place)
        ORDER BY n.place
        ON CONFLICT (topic, partition, log, position) DO NOTHING
)
SELECT count(*) AS moved FROM moved
