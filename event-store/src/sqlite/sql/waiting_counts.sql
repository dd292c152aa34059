SELECT kind || ':' || name AS waits_on, count(*) AS streams FROM stream_waits GROUP BY kind, name
