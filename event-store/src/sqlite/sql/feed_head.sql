-- As on Postgres. Every committed row can be read.
SELECT 0 AS floor_era, s.floor_xid, 0 AS era, n.position AS xid, 1 AS place, j.recorded_at AS newest_at, j.append_id,
       NULL AS held_since
FROM feed_state s
LEFT JOIN (SELECT * FROM commits ORDER BY position DESC LIMIT 1) AS n ON true
LEFT JOIN journal j ON j.stream = n.stream AND j.version = n.version
