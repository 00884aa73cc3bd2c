-- One statement a line, of every kind that a migration might send.
ALTER TABLE cdb_demo.exposure ADD COLUMN a int, DROP COLUMN note, ALTER band TYPE text, ALTER band SET DEFAULT 'x'
ALTER TABLE ONLY cdb_demo.exposure ALTER COLUMN band SET STATISTICS 100
ALTER TABLE cdb_demo.exposure ALTER COLUMN band SET STORAGE PLAIN
ALTER TABLE cdb_demo.exposure ALTER COLUMN exposure_id ADD GENERATED ALWAYS AS IDENTITY
ALTER TABLE cdb_demo.exposure ALTER COLUMN exposure_id DROP IDENTITY IF EXISTS
ALTER TABLE cdb_demo.exposure ALTER COLUMN exposure_id SET GENERATED ALWAYS RESTART WITH 4
ALTER TABLE cdb_demo.exposure ALTER COLUMN band DROP EXPRESSION
ALTER TABLE cdb_demo.exposure CLUSTER ON ix_band
ALTER TABLE cdb_demo.exposure SET (fillfactor = 70)
ALTER TABLE cdb_demo.exposure ENABLE ROW LEVEL SECURITY
ALTER TABLE cdb_demo.exposure OWNER TO somebody
ALTER TABLE cdb_demo.exposure INHERIT cdb_demo.spare
ALTER TABLE cdb_demo.exposure ATTACH PARTITION cdb_demo.spare FOR VALUES FROM (1) TO (10)
ALTER TABLE cdb_demo.exposure REPLICA IDENTITY FULL
ALTER TABLE cdb_demo.exposure SET UNLOGGED
ALTER TABLE cdb_demo.exposure SET TABLESPACE fast
ALTER TABLE cdb_demo.exposure ALTER CONSTRAINT fk DEFERRABLE INITIALLY DEFERRED
ALTER TABLE cdb_demo.exposure ADD EXCLUDE USING gist (band WITH =)
ALTER TABLE cdb_demo.exposure ADD CONSTRAINT n NOT NULL note
ALTER TABLE IF EXISTS cdb_demo.gone RENAME TO away
ALTER VIEW cdb_demo.visit1 ALTER COLUMN band SET DEFAULT 'x'
ALTER VIEW IF EXISTS cdb_demo.visit1 SET SCHEMA other
ALTER MATERIALIZED VIEW cdb_demo.m RENAME COLUMN a TO b
ALTER INDEX cdb_demo.ix_band SET (fillfactor = 70)
ALTER INDEX IF EXISTS cdb_demo.ix_band RENAME TO ix
ALTER SEQUENCE cdb_demo.s OWNED BY NONE
ALTER SEQUENCE cdb_demo.s RESTART WITH 3
ALTER SCHEMA cdb_demo RENAME TO cdb_other
ALTER TYPE cdb_demo.mood ADD VALUE 'ok' BEFORE 'sad'
ALTER TYPE cdb_demo.mood RENAME VALUE 'ok' TO 'fine'
ALTER TYPE cdb_demo.pair ADD ATTRIBUTE c int CASCADE
ALTER DOMAIN cdb_demo.d ADD CHECK (VALUE > 0) NOT VALID
ALTER FUNCTION cdb_demo.f(int) OWNER TO somebody
ALTER ROLE usdf SET search_path TO cdb_demo
ALTER DATABASE exposurelog SET work_mem = '64MB'
ALTER SYSTEM SET work_mem = '64MB'
ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA cdb_demo REVOKE SELECT ON TABLES FROM usdf
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO usdf
ALTER PUBLICATION usdfpub ADD TABLE cdb_demo.exposure (band) WHERE (day_obs > 1), TABLES IN SCHEMA CURRENT_SCHEMA
ALTER PUBLICATION usdfpub SET (publish = 'insert')
ALTER PUBLICATION usdfpub DROP TABLE cdb_demo.exposure
ALTER SUBSCRIPTION s REFRESH PUBLICATION
ALTER TRIGGER t ON cdb_demo.exposure RENAME TO u
ALTER EXTENSION pg_sphere UPDATE
ANALYZE cdb_demo.exposure (band)
BEGIN ISOLATION LEVEL SERIALIZABLE
CALL cdb_demo.p(1)
CHECKPOINT
CLUSTER cdb_demo.exposure USING ix_band
COMMENT ON COLUMN cdb_demo.exposure.band IS NULL
COMMENT ON CONSTRAINT un_day ON cdb_demo.exposure IS 'x'
COMMENT ON FUNCTION cdb_demo.f(int, text) IS 'x'
COMMENT ON SCHEMA cdb_demo IS 'x'
COMMENT ON TYPE cdb_demo.mood IS 'x'
COMMENT ON DATABASE d IS 'x'
COPY cdb_demo.exposure (band) FROM STDIN
CREATE AGGREGATE cdb_demo.agg (int) (SFUNC = f, STYPE = int)
CREATE CAST (text AS int) WITH INOUT
CREATE DATABASE d
CREATE DOMAIN cdb_demo.d AS text CHECK (VALUE <> '')
CREATE EXTENSION IF NOT EXISTS pg_sphere SCHEMA public
CREATE FUNCTION cdb_demo.f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'
CREATE OR REPLACE PROCEDURE cdb_demo.p(a int) LANGUAGE sql BEGIN ATOMIC DELETE FROM cdb_demo.spare; END
CREATE INDEX ON cdb_demo.exposure USING gist (band) INCLUDE (note) WHERE note IS NOT NULL
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON cdb_demo.exposure (lower(band) DESC NULLS LAST)
CREATE MATERIALIZED VIEW IF NOT EXISTS cdb_demo.m (a) AS SELECT band FROM cdb_demo.exposure WITH NO DATA
CREATE OPERATOR cdb_demo.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = f)
CREATE POLICY p ON cdb_demo.exposure USING (band = 'x')
CREATE PUBLICATION p FOR ALL TABLES
CREATE ROLE r LOGIN
CREATE RULE r AS ON INSERT TO cdb_demo.exposure DO ALSO INSERT INTO cdb_demo.spare VALUES (NEW.exposure_id)
CREATE SCHEMA IF NOT EXISTS cdb_demo AUTHORIZATION somebody
CREATE SCHEMA s CREATE TABLE t (a int) CREATE VIEW v AS SELECT a FROM t
CREATE SEQUENCE cdb_demo.s AS bigint OWNED BY cdb_demo.exposure.exposure_id
CREATE STATISTICS cdb_demo.st ON band, note FROM cdb_demo.exposure
CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p
CREATE TABLE cdb_demo.t (a int PRIMARY KEY, b cdb_demo.mood[] COLLATE "C", c int GENERATED ALWAYS AS (a + 1) STORED, UNIQUE NULLS NOT DISTINCT (b))
CREATE TABLE cdb_demo.t (LIKE cdb_demo.exposure INCLUDING ALL, extra int) PARTITION BY RANGE (day_obs)
CREATE TABLE cdb_demo.t PARTITION OF cdb_demo.exposure FOR VALUES IN (1)
CREATE TABLE cdb_demo.t OF cdb_demo.pair
CREATE TABLE cdb_demo.t () INHERITS (cdb_demo.exposure)
CREATE TABLE IF NOT EXISTS cdb_demo.t (a) AS VALUES (1)
CREATE TEMPORARY TABLE kept ON COMMIT DROP AS TABLE cdb_demo.exposure
CREATE TRIGGER t BEFORE INSERT ON cdb_demo.exposure FOR EACH ROW EXECUTE FUNCTION cdb_demo.f()
CREATE TYPE cdb_demo.mood AS ENUM ('a', 'b')
CREATE TYPE cdb_demo.pair AS (a int, b text)
CREATE VIEW cdb_demo.v AS SELECT DISTINCT ON (band) *, row_number() OVER (PARTITION BY band) FROM cdb_demo.exposure
CREATE VIEW cdb_demo.v (a, b) AS SELECT 1, x.* FROM (SELECT 2) x
CREATE VIEW cdb_demo.v AS VALUES (1, 2)
CREATE VIEW cdb_demo.v AS TABLE cdb_demo.exposure
CREATE VIEW cdb_demo.v AS SELECT e FROM cdb_demo.exposure e
CREATE VIEW cdb_demo.v AS SELECT (e).band, e.*::text FROM cdb_demo.exposure e
CREATE VIEW cdb_demo.v AS SELECT j.a FROM (cdb_demo.exposure NATURAL JOIN cdb_demo.quick) AS j (a)
CREATE VIEW cdb_demo.v AS WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n FROM r
CREATE RECURSIVE VIEW cdb_demo.r (n) AS SELECT 1 UNION ALL SELECT n + 1 FROM cdb_demo.r
CREATE VIEW cdb_demo.v AS SELECT f.x FROM generate_series(1, 3) AS f(x), LATERAL (SELECT f.x) AS l
CREATE VIEW cdb_demo.v AS SELECT CASE WHEN a IS NULL THEN 1 END FROM ROWS FROM (f(1), g(2)) AS t(a, b)
CREATE VIEW cdb_demo.v AS SELECT xmltable.* FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS b int)
DEALLOCATE ALL
DECLARE c CURSOR FOR SELECT 1
DELETE FROM cdb_demo.exposure USING cdb_demo.spare s WHERE s.id = exposure_id RETURNING *
DISCARD ALL
DO LANGUAGE plpgsql $$ BEGIN EXECUTE 'DROP TABLE cdb_demo.exposure'; END $$
DROP AGGREGATE cdb_demo.agg (int)
DROP CAST (text AS int)
DROP DATABASE d
DROP DOMAIN cdb_demo.d
DROP EXTENSION pg_sphere CASCADE
DROP FUNCTION cdb_demo.f(int), cdb_demo.g
DROP INDEX CONCURRENTLY IF EXISTS cdb_demo.ix_band
DROP MATERIALIZED VIEW cdb_demo.m
DROP OWNED BY usdf
DROP POLICY p ON cdb_demo.exposure
DROP PUBLICATION p
DROP ROLE r
DROP RULE r ON cdb_demo.exposure
DROP SCHEMA cdb_demo, other CASCADE
DROP SEQUENCE cdb_demo.s
DROP TRIGGER t ON cdb_demo.exposure
DROP TYPE cdb_demo.mood
EXECUTE prepared (1)
EXPLAIN SELECT 1
GRANT usdf TO oods
GRANT ALL ON SCHEMA cdb_demo TO usdf
GRANT EXECUTE ON FUNCTION cdb_demo.f(int) TO PUBLIC
GRANT SELECT (band), INSERT ON TABLE cdb_demo.exposure TO usdf, CURRENT_USER WITH GRANT OPTION
GRANT USAGE ON ALL SEQUENCES IN SCHEMA cdb_demo TO usdf
GRANT USAGE ON TYPE cdb_demo.mood TO usdf
INSERT INTO cdb_demo.spare DEFAULT VALUES
INSERT INTO cdb_demo.spare (id) VALUES (1), (2) ON CONFLICT (id) DO UPDATE SET value = excluded.value
INSERT INTO cdb_demo.spare WITH q AS (SELECT 1) SELECT * FROM q
LISTEN x
LOCK TABLE cdb_demo.exposure IN ACCESS EXCLUSIVE MODE
MERGE INTO cdb_demo.spare s USING cdb_demo.exposure e ON s.id = e.exposure_id WHEN MATCHED THEN DELETE
NOTIFY x
PREPARE prepared AS SELECT $1
REASSIGN OWNED BY usdf TO oods
REFRESH MATERIALIZED VIEW CONCURRENTLY cdb_demo.m
REINDEX TABLE CONCURRENTLY cdb_demo.exposure
RESET ALL
REVOKE ALL ON cdb_demo.exposure FROM usdf CASCADE
ROLLBACK
SAVEPOINT a
SECURITY LABEL ON TABLE cdb_demo.exposure IS 'x'
SELECT setval('cdb_demo.s'::regclass, coalesce(max(exposure_id), 0) + 1, false) FROM cdb_demo.exposure
SELECT set_config(name, 'x', true), set_config('search_path', NULL, false) FROM pg_settings
SELECT ''::regclass, '"'::regclass, '.'::regclass, '123'::regclass, NULL::regclass, nextval(), nextval(a)
SELECT * FROM cdb_demo.exposure e FOR UPDATE OF e NOWAIT
SELECT DISTINCT 1 ORDER BY 1 LIMIT ALL
SELECT
SET CONSTRAINTS ALL DEFERRED
SET LOCAL ROLE usdf
SET SESSION AUTHORIZATION DEFAULT
SET search_path = DEFAULT
SET search_path TO ''
SET TIME ZONE 'UTC'
SET TRANSACTION READ ONLY
SHOW search_path
START TRANSACTION
TABLE cdb_demo.exposure
TRUNCATE cdb_demo.exposure, cdb_demo.spare RESTART IDENTITY CASCADE
UPDATE cdb_demo.exposure AS e SET (band, note) = (SELECT value, value FROM cdb_demo.spare s WHERE s.id = e.exposure_id)
UPDATE cdb_demo.exposure SET band = DEFAULT, note = upper(s.value) FROM cdb_demo.spare s
UPDATE cdb_demo.exposure SET note = ROW(1, 2)
VACUUM (FULL) cdb_demo.exposure
VALUES (1)
WITH moved AS (DELETE FROM cdb_demo.spare RETURNING *) INSERT INTO cdb_demo.quick SELECT id FROM moved
