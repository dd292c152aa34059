-- The last of the oldest commits of the feed before the first one whose row the journal has. The newest one stays.
WITH oldest AS (SELECT position, stream, version FROM commits ORDER BY position LIMIT ?1)
SELECT count(*) AS forgotten, max(o.position) AS position
FROM oldest o
WHERE o.position < (SELECT max(position) FROM commits)
  AND o.position < coalesce(
      (SELECT min(k.position) FROM oldest k JOIN journal j ON j.stream = k.stream AND j.version = k.version), o.position + 1)
