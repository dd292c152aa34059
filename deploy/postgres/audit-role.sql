-- Splits the roles of the audit: the role of the engines can only read and append what people did, and can neither
-- change rows nor switch the triggers off. Run it as a superuser, after an engine has created or upgraded the tables:
--   psql "$DATABASE" -v engine=saga -f audit-role.sql
-- Before an upgrade that changes these tables: GRANT saga_audit TO saga; afterwards REVOKE saga_audit FROM saga.
\set ON_ERROR_STOP on

SELECT 'CREATE ROLE saga_audit NOLOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'saga_audit') \gexec

BEGIN;
ALTER TABLE acts OWNER TO saga_audit;
ALTER TABLE letter_acts OWNER TO saga_audit;
ALTER TABLE notes OWNER TO saga_audit;
ALTER FUNCTION refuse_audit_change() OWNER TO saga_audit;
REVOKE ALL ON acts, letter_acts, notes FROM :"engine";
GRANT SELECT, INSERT ON acts, letter_acts, notes TO :"engine";
COMMIT;
