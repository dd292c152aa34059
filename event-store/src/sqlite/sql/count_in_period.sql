SELECT count(*) AS streams FROM streams WHERE stream >= ?1 AND stream < ?2
