SELECT flags, open, count(*) AS streams FROM streams WHERE flags IS NOT NULL GROUP BY flags, open
