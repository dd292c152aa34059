-- The last commit that can be read, and when the first one was recorded that has to wait for an older transaction.
WITH horizon AS MATERIALIZED (
    SELECT o_era, o_xid FROM feed_horizon()
), newest AS MATERIALIZED (
    SELECT c.era, c.xid, c.at, c.row_count, c.streams[c.row_count] AS stream, c.versions[c.row_count] AS version
    FROM commits c
    WHERE (c.era, c.xid) < ((SELECT o_era FROM horizon), (SELECT o_xid FROM horizon))
    ORDER BY c.era DESC, c.xid DESC LIMIT 1
)
SELECT s.floor_era::bigint AS floor_era, s.floor_xid, n.era::bigint AS era, n.xid, n.row_count::bigint AS place, n.at AS newest_at,
       (SELECT j.append_id FROM journal j WHERE j.stream = n.stream AND j.version = n.version) AS append_id,
       (SELECT c.at FROM commits c
        WHERE (c.era, c.xid) >= ((SELECT o_era FROM horizon), (SELECT o_xid FROM horizon))
        ORDER BY c.era, c.xid LIMIT 1) AS held_since
FROM feed_state s LEFT JOIN newest n ON true
