SELECT coalesce(max(number), 0) AS number FROM dead_letters
