-- As on Postgres.
ALTER TABLE acts ADD COLUMN subject TEXT;
ALTER TABLE acts ADD COLUMN token TEXT;
ALTER TABLE acts ADD COLUMN address TEXT;
ALTER TABLE acts ADD COLUMN request TEXT;
ALTER TABLE acts ADD COLUMN before TEXT;
ALTER TABLE acts ADD COLUMN after TEXT;
ALTER TABLE letter_acts ADD COLUMN subject TEXT;
ALTER TABLE letter_acts ADD COLUMN token TEXT;
ALTER TABLE letter_acts ADD COLUMN address TEXT;
ALTER TABLE letter_acts ADD COLUMN request TEXT;
ALTER TABLE letter_acts ADD COLUMN before TEXT;
ALTER TABLE letter_acts ADD COLUMN after TEXT;

CREATE TRIGGER acts_refuse_update BEFORE UPDATE ON acts
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only: UPDATE on acts is refused');
END;
CREATE TRIGGER acts_refuse_delete BEFORE DELETE ON acts
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only: DELETE on acts is refused');
END;
CREATE TRIGGER letter_acts_refuse_update BEFORE UPDATE ON letter_acts
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only: UPDATE on letter_acts is refused');
END;
CREATE TRIGGER letter_acts_refuse_delete BEFORE DELETE ON letter_acts
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only: DELETE on letter_acts is refused');
END;
CREATE TRIGGER notes_refuse_update BEFORE UPDATE ON notes
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only: UPDATE on notes is refused');
END;
CREATE TRIGGER notes_refuse_delete BEFORE DELETE ON notes
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only: DELETE on notes is refused');
END;
