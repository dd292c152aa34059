SELECT name, generation, code_version, is_live, position, at, problem FROM projections ORDER BY name, generation
