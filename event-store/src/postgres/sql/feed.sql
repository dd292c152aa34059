-- $1 to $3: the position after which the page begins: era, transaction, place in it. Its own row is the first one, so
-- that the caller can see that the store has it. $4: most rows after it, $5: most bytes of payloads.
WITH horizon AS MATERIALIZED (
    SELECT o_era, o_xid FROM feed_horizon()
), reached AS (
    -- Without the lists of rows: a commit can have many, so most of these commits are not in the page.
    SELECT n.era, n.xid, sum(n.row_count - n.had) OVER (ORDER BY n.era, n.xid) - (n.row_count - n.had) AS rows_before
    FROM (
        SELECT c.era, c.xid, c.row_count,
               CASE WHEN era = $1::integer AND xid = $2 THEN least($3, row_count)::integer ELSE 0 END AS had
        FROM commits c
        WHERE (era, xid) >= ($1::integer, $2)
          AND (era, xid) < ((SELECT o_era FROM horizon), (SELECT o_xid FROM horizon))
        ORDER BY era, xid LIMIT $4 + 1
    ) AS n
), page AS MATERIALIZED (
    SELECT r.era, r.xid, n.place, n.stream, n.version,
           r.era = $1::integer AND r.xid = $2 AND n.place = $3 AS is_own
    FROM reached r
    -- LIMIT: by the index, commit by commit, as below.
    CROSS JOIN LATERAL (
        SELECT c.streams, c.versions FROM commits c WHERE c.era = r.era AND c.xid = r.xid LIMIT 1
    ) AS c
    CROSS JOIN LATERAL unnest(c.streams, c.versions) WITH ORDINALITY AS n (stream, version, place)
    WHERE r.rows_before < $4 AND (r.era, r.xid, n.place) >= ($1::integer, $2, $3)
    ORDER BY r.era, r.xid, n.place LIMIT $4 + 1
)
SELECT era::bigint AS era, xid, place, stream, version::bigint AS version, is_own, recorded_at, append_id, payload
FROM (
    SELECT p.*, j.recorded_at, j.append_id, CASE WHEN NOT p.is_own THEN j.payload END AS payload,
           sum(CASE WHEN p.is_own THEN 0 ELSE coalesce(octet_length(j.payload), 0) END) OVER (ORDER BY p.era, p.xid, p.place)
               - CASE WHEN p.is_own THEN 0 ELSE coalesce(octet_length(j.payload), 0) END AS bytes_before
    FROM page p
    -- LIMIT: by the index, row by row. A plan that reads the whole journal is never the right one.
    LEFT JOIN LATERAL (
        SELECT * FROM journal j WHERE j.stream = p.stream AND j.version = p.version LIMIT 1
    ) AS j ON true
) AS measured
WHERE bytes_before < $5
ORDER BY era, xid, place
