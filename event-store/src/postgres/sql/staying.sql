SELECT count(*) AS staying
FROM (
    SELECT 1
    FROM streams s
    WHERE s.stream >= $1 AND s.stream < $2
      AND (s.open OR NOT EXISTS (
          SELECT FROM unnest($3::text[], $4::bigint[], $5::uuid[]) AS r (wanted, changed_before, started_before)
          WHERE r.wanted = s.category AND s.updated_at < r.changed_before AND s.stream < r.started_before
      ))
    LIMIT $6
) AS counted
