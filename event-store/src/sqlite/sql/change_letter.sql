UPDATE dead_letters
SET status = ?2, changed_at = ?3, who = ?4, why = ?5, result = ?6, redrives = redrives + ?7,
    edit = CASE WHEN ?8 THEN ?9 ELSE edit END, edit_key = CASE WHEN ?8 THEN ?10 ELSE edit_key END
WHERE number = ?1
