-- $1 and $2: the period, as ids; $4 to $6: the rules.
JOIN unnest($4::text[], $5::bigint[], $6::uuid[]) AS r (wanted, changed_before, started_before) ON r.wanted = category
WHERE stream >= $1 AND stream < $2 AND stream > $3 AND NOT open AND updated_at < r.changed_before AND stream < r.started_before
ORDER BY stream
LIMIT $7
