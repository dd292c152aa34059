INSERT INTO archive_lease AS l (holder, until) VALUES ($1, now() + interval '5 minutes')
ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE l.holder = excluded.holder OR l.until < now()
RETURNING true AS held
