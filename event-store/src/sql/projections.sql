SELECT name, generation, code_version, is_live, position, at, problem, archives, left_out FROM projections ORDER BY name, generation
