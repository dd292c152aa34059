DELETE FROM archive_lease WHERE holder = $1
