SELECT category, status, count(*) AS streams FROM streams GROUP BY 1, 2 ORDER BY 1, 2
