-- The columns are those of Postgres, and the reasons are there.
ALTER TABLE projections ADD COLUMN archives TEXT;
ALTER TABLE projections ADD COLUMN left_out TEXT;
