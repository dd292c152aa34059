-- Counts by what is asked for: what is not is null in every row.
SELECT CASE WHEN ?15 THEN category END AS category,
       CASE WHEN ?16 THEN status END AS status,
       CASE WHEN ?17 THEN step END AS step,
       CASE WHEN ?18 THEN code END AS code,
       CASE WHEN ?19 THEN waits_on END AS waits_on,
       CASE WHEN ?20 THEN document END AS document,
       count(*) AS streams, min(started_at) AS oldest_started, min(updated_at) AS oldest_changed
FROM streams
