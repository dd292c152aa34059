GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY streams DESC, 1, 2, 3, 4, 5, 6
LIMIT $5
