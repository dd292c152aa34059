-- Groups by the columns that the caller asks for. The others are null in every row.
SELECT CASE WHEN $19::boolean THEN category END AS category,
       CASE WHEN $20::boolean THEN status END AS status,
       CASE WHEN $21::boolean THEN step END AS step,
       CASE WHEN $22::boolean THEN code END AS code,
       CASE WHEN $23::boolean THEN array_to_string(waits_on, ',') END AS waits_on,
       CASE WHEN $24::boolean THEN document END AS document,
       count(*) AS streams, min(started_at) AS oldest_started, min(updated_at) AS oldest_changed
FROM streams
