-- As on Postgres. A position is a transaction of one row. ?1, the era, is 0.
SELECT ?1 AS era, xid, 1 AS place, stream, version, is_own, recorded_at, append_id, payload
FROM (
    SELECT p.xid, p.stream, p.version, p.is_own, j.recorded_at, j.append_id, CASE WHEN NOT p.is_own THEN j.payload END AS payload,
           sum(CASE WHEN p.is_own THEN 0 ELSE coalesce(length(j.payload), 0) END) OVER (ORDER BY p.xid)
               - CASE WHEN p.is_own THEN 0 ELSE coalesce(length(j.payload), 0) END AS bytes_before
    FROM (
        SELECT position AS xid, stream, version, position = ?2 AND ?3 = 1 AS is_own
        FROM commits WHERE position >= ?2 ORDER BY position LIMIT ?4 + 1
    ) AS p
    LEFT JOIN journal j ON j.stream = p.stream AND j.version = p.version
)
WHERE bytes_before < ?5
ORDER BY xid
