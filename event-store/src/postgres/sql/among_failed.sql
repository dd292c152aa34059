WHERE code = $10
