SELECT w.word AS waits_on, count(*) AS streams
FROM streams CROSS JOIN LATERAL unnest(waits_on) AS w (word)
WHERE waits_on IS NOT NULL
GROUP BY w.word
