-- The oldest commits of the feed, as long as the journal has no row of them. The newest commit stays: it shows in which
-- era the server is.
WITH oldest AS MATERIALIZED (
    SELECT c.era, c.xid,
           EXISTS (SELECT FROM unnest(c.streams, c.versions) AS n (stream, version)
                   CROSS JOIN LATERAL (SELECT 1 FROM journal j WHERE j.stream = n.stream AND j.version = n.version LIMIT 1) AS j) AS is_there
    FROM (SELECT * FROM commits ORDER BY era, xid LIMIT $1) AS c
), gone AS (
    DELETE FROM commits c USING oldest o
    WHERE c.era = o.era AND c.xid = o.xid
      AND NOT EXISTS (SELECT FROM oldest f WHERE f.is_there AND (f.era, f.xid) <= (o.era, o.xid))
      AND (o.era, o.xid) < (SELECT n.era, n.xid FROM commits n ORDER BY n.era DESC, n.xid DESC LIMIT 1)
    RETURNING c.era, c.xid
), moved AS (
    UPDATE feed_state SET floor_era = g.era, floor_xid = g.xid
    FROM (SELECT era, xid FROM gone ORDER BY era DESC, xid DESC LIMIT 1) AS g
)
SELECT count(*) AS forgotten FROM gone
