WHERE code = ?10
