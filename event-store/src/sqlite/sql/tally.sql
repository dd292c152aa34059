-- Groups by the columns that the caller asks for. The others are null in every row.
SELECT CASE WHEN ?19 THEN category END AS category,
       CASE WHEN ?20 THEN status END AS status,
       CASE WHEN ?21 THEN step END AS step,
       CASE WHEN ?22 THEN code END AS code,
       CASE WHEN ?23 THEN (
           SELECT group_concat(w.kind || ':' || w.name, ',' ORDER BY w.kind, w.name)
           FROM stream_waits w WHERE w.stream = streams.stream
       ) END AS waits_on,
       CASE WHEN ?24 THEN document END AS document,
       count(*) AS streams, min(started_at) AS oldest_started, min(updated_at) AS oldest_changed
FROM streams
