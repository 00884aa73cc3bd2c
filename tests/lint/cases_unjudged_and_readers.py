"""Cases of what is not judged (rule L1), and of what breaks readers and replication (rule L2)."""

from __future__ import annotations

from tests.lint.cases_running import Case

__all__ = ["READERS_AND_REPLICAS", "UNJUDGED"]

E = "cdb_demo.exposure"
FUNCTION = "CREATE FUNCTION cdb_demo.f() RETURNS int LANGUAGE sql AS 'SELECT 1'"

UNJUDGED = (
    Case("not-judged", ("DO $$ BEGIN RAISE NOTICE 'x'; END $$",), ("DO $$ BEGIN END $$",), (20, 60)),
    Case("not-judged", ("DO $$ BEGIN EXECUTE 'DROP TABLE cdb_demo.spare'; END $$",), (), (20,)),
    Case("not-judged", (FUNCTION, "SELECT cdb_demo.f()"), (), (20, 21)),
    Case("not-judged", (FUNCTION, f"UPDATE {E} SET seq_num = cdb_demo.f()"), (), (20, 21)),
    Case(
        "not-judged", ("CREATE PROCEDURE cdb_demo.p() LANGUAGE sql AS ''", "CALL cdb_demo.p()"), (), (20, 21)
    ),
    Case("not-judged", (f"PREPARE x AS DELETE FROM {E}", "EXECUTE x"), (), (21,)),
    Case("not-judged", ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE false",), (), (20,)),
    Case("not-judged", ("SELECT pg_sleep(0)", "SELECT pg_notify('a', 'b')"), (), (20, 21)),
    Case("not-judged", ("SELECT query_to_xml('DELETE FROM cdb_demo.spare', true, true, '')",), (), (20,)),
    Case("not-judged", (f"COPY {E} TO PROGRAM 'cat'", f"COPY {E} FROM '/tmp/x'"), (), (20, 21)),
    Case(
        "not-judged",
        ("ALTER SYSTEM SET fsync = off", "CREATE DATABASE x", "LOAD 'auto_explain'"),
        (),
        (20, 21, 22),
    ),
    Case("not-judged", ("CREATE EXTENSION no_such_extension", f"DROP TABLE {E}_of_it"), (), (20, 21)),
    Case("does-not-apply", ("CREATE EXTENSION no_such_extension", f"DROP TABLE {E}_of_it")),
    Case("not-judged", ("CREATE EXTENSION dblink", "CREATE EXTENSION IF NOT EXISTS pg_sphere"), (), (20,)),
    Case("not-judged", (f"CREATE RULE r AS ON INSERT TO {E} DO INSTEAD NOTHING",), (), (20,)),
    Case("not-judged", ("SECURITY LABEL ON TABLE cdb_demo.spare IS 'x'",), (), (20,)),
    Case("not-judged", ("DEALLOCATE ALL", "DISCARD PLANS"), (), (20, 21)),
    Case(
        "not-judged",
        (
            "SELECT count(*), max(now()) FROM pg_catalog.pg_class",
            "SELECT setval('cdb_demo.s', 1) FROM pg_class WHERE false",
            "SELECT set_config('lock_timeout', '5s', true)",
            f"WITH gone AS (DELETE FROM {E} RETURNING *) SELECT count(*) FROM gone",
            f"UPDATE {E} SET note = upper(note), seen = clock_timestamp()",
            f"MERGE INTO {E} e USING cdb_demo.quick q ON true WHEN MATCHED THEN DELETE",
            f"COMMENT ON TABLE {E} IS 'DROP TABLE x; DO $$ $$'",
            f"SELECT note FROM {E} WHERE note = 'copy (x) and pg_sleep'",
        ),
    ),
    Case("version-table", ("UPDATE cdb.cdb_demo_version SET version_num = version_num",), (), (20,)),
    Case(
        "version-table",
        ("DELETE FROM cdb.cdb_latiss_version", "ALTER TABLE cdb.cdb_demo_version ADD a int"),
        ("DROP TABLE cdb.cdb_demo_version", "TRUNCATE cdb.cdb_demo_version"),
        (20, 21, 60, 61),
    ),
    Case(
        "version-table",
        ("SELECT 1 FROM cdb.cdb_demo_version", "GRANT SELECT ON cdb.cdb_demo_version TO usdf"),
    ),
    # what is lost in other ways than by DROP and DELETE
    Case("data-loss", (f"ALTER TABLE {E} ALTER amount TYPE text USING NULL",), (), (20,)),
    Case(
        "data-loss",
        (f"ALTER TABLE {E} ALTER amount TYPE int USING 0, ALTER note TYPE text USING band",),
        (),
        (20, 20),
    ),
    Case("data-loss", (f"ALTER TABLE {E} ALTER amount TYPE int USING round(amount)::int",)),
    Case("data-loss", (f"WITH gone AS (DELETE FROM {E} RETURNING *) SELECT count(*) FROM gone",), (), (20,)),
    Case(
        "data-loss",
        (
            f"MERGE INTO {E} e USING cdb_demo.quick q ON q.exposure_id = e.exposure_id"
            " WHEN MATCHED AND q.seeing > 3 THEN DELETE WHEN MATCHED THEN UPDATE SET note = ''",
        ),
        (),
        (20,),
    ),
    Case("data-loss", ("DO $$ BEGIN EXECUTE 'DROP TABLE cdb_demo.spare'; END $$",), (), (20,)),
    Case("data-loss", ("DROP SCHEMA cdb_demo CASCADE",), (), (20, 20, 20)),
    Case("data-loss", (f"DELETE FROM {E} WHERE air_temp = NULL",), (), (20,)),
    Case(
        "data-loss",
        (f"ALTER TABLE {E} ADD COLUMN fine int; DROP TABLE cdb_demo.spare;",),
        (),
        (20,),
    ),
    Case(
        "data-loss",
        (
            f"CREATE TEMP TABLE keep AS SELECT exposure_id, note FROM {E}",
            f"ALTER TABLE {E} DROP COLUMN note",
        ),
        (),
        (21,),
    ),
    Case(
        "data-loss",
        (
            f"CREATE TEMP TABLE keep AS SELECT exposure_id, note FROM {E}",
            "UPDATE cdb_demo.spare SET value = k.note FROM keep k WHERE k.exposure_id = id",
            f"ALTER TABLE {E} DROP COLUMN note",
        ),
    ),
    Case("data-loss", (f"SELECT * INTO cdb_demo.copied FROM {E}", f"ALTER TABLE {E} DROP COLUMN note")),
    Case("data-loss", ("CREATE TEMP TABLE k (a int)", "DELETE FROM k", "DROP TABLE k")),
    Case(
        "values-overwritten",
        (f"UPDATE {E} SET air_temp = 0", f"UPDATE {E} SET note = '' WHERE true"),
        (),
        (20, 21),
    ),
    Case(
        "values-overwritten",
        (f"UPDATE {E} SET note = '' WHERE band = 'r'",),
        (f"UPDATE {E} SET note = ''",),
        (20,),
    ),
    Case(
        "values-overwritten",
        ("INSERT INTO cdb_demo.spare VALUES (1, '') ON CONFLICT (id) DO UPDATE SET value = ''",),
        (),
        (20,),
    ),
    Case(
        "values-overwritten",
        (
            f"ALTER TABLE {E} ADD COLUMN a int, ADD COLUMN was text",
            f"UPDATE {E} SET a = 1",
            f"UPDATE {E} SET was = note",
            f"UPDATE {E} SET note = ''",
            "INSERT INTO cdb_demo.spare VALUES (1, '')",
        ),
    ),
)

READERS_AND_REPLICAS = (
    Case("revoked-grant", ("REVOKE SELECT ON cdb_demo.visit1 FROM usdf",), (), (20,)),
    Case(
        "revoked-grant",
        (f"REVOKE ALL ON {E} FROM PUBLIC", "REVOKE USAGE ON SCHEMA cdb_demo FROM oods"),
        (),
        (20, 21),
    ),
    Case("revoked-grant", ("REVOKE SELECT ON ALL TABLES IN SCHEMA cdb_demo FROM usdf",), (), (20,)),
    Case("revoked-grant", ("REVOKE usdf FROM oods", "DROP OWNED BY usdf"), (), (20, 21)),
    Case(
        "revoked-grant",
        ("ALTER DEFAULT PRIVILEGES IN SCHEMA cdb_demo REVOKE SELECT ON TABLES FROM usdf",),
        (),
        (20,),
    ),
    Case("revoked-grant", ("DO $$ BEGIN REVOKE SELECT ON cdb_demo.visit1 FROM usdf; END $$",), (), (19,)),
    Case(
        "revoked-grant",
        (
            f"GRANT INSERT ON {E} TO oods",
            "CREATE TABLE cdb_demo.t (a int)",
            "REVOKE ALL ON cdb_demo.t FROM PUBLIC",
        ),
        (f"REVOKE INSERT ON {E} FROM oods",),
    ),
    Case("owner-change", (f"ALTER TABLE {E} OWNER TO usdf",), (), (20,)),
    Case("owner-change", (f"ALTER TABLE {E} OWNER TO CURRENT_USER",), (), (20,)),
    Case(
        "owner-change",
        ("REASSIGN OWNED BY usdf TO oods", "ALTER SCHEMA cdb_demo OWNER TO oods"),
        (),
        (20, 21),
    ),
    Case("revoked-grant", ("ALTER VIEW cdb_demo.visit1 OWNER TO oods", f"ALTER TABLE {E} OWNER TO usdf")),
    Case("owner-change", ("CREATE TABLE cdb_demo.t (a int)", "ALTER TABLE cdb_demo.t OWNER TO oods")),
    Case("row-security", (f"ALTER TABLE {E} ENABLE ROW LEVEL SECURITY",), (), (20,)),
    Case("row-security", (f"ALTER TABLE {E} FORCE ROW LEVEL SECURITY",), (), (20,)),
    Case(
        "row-security", (f"CREATE POLICY p ON {E} USING (band = 'r')", f"DROP POLICY p ON {E}"), (), (20, 21)
    ),
    Case("row-security", ("ALTER VIEW cdb_demo.visit1 SET (security_invoker = true)",), (), (20,)),
    Case("row-security", (f"ALTER TABLE {E} DISABLE ROW LEVEL SECURITY",)),
    Case(
        "replication", ("DROP PUBLICATION usdfpub", "ALTER PUBLICATION usdfpub RENAME TO other"), (), (20, 21)
    ),
    Case(
        "replication",
        (
            f"ALTER PUBLICATION usdfpub SET TABLE {E}",
            f"ALTER PUBLICATION usdfpub DROP TABLE {E}",
            "ALTER PUBLICATION usdfpub SET (publish = 'insert')",
            "ALTER PUBLICATION usdfpub OWNER TO oods",
        ),
        (),
        (20, 21, 22, 23),
    ),
    Case(
        "replication",
        (f"ALTER TABLE {E} REPLICA IDENTITY NOTHING", f"ALTER TABLE {E} SET UNLOGGED"),
        (),
        (20,),
    ),
    Case("replication", ("ALTER TABLE cdb_demo.spare SET UNLOGGED",), (), (20,)),
    Case("replication", (f"ALTER TABLE {E} REPLICA IDENTITY FULL",), (), (20,)),
    Case("replication", ("ALTER TABLE cdb_demo.spare DROP CONSTRAINT spare_pkey",), (), (20,)),
    Case("replication", ("DROP SUBSCRIPTION s",), (), (20,)),
    Case(
        "replication",
        (
            f"ALTER PUBLICATION usdfpub ADD TABLE {E}",
            "CREATE UNLOGGED TABLE cdb_demo.t (a int)",
            "ALTER TABLE cdb_demo.spare DROP CONSTRAINT spare_pkey",
            "ALTER TABLE cdb_demo.spare ADD PRIMARY KEY (id)",
        ),
    ),
    Case(
        "session-setting",
        ("SET session_replication_role = replica", "SET ROLE usdf"),
        ("RESET ROLE",),
        (20, 21),
    ),
    Case("session-setting", ("SELECT set_config('session_replication_role', 'replica', true)",), (), (20,)),
    Case("session-setting", ("SET SESSION AUTHORIZATION usdf", "RESET SESSION AUTHORIZATION"), (), (20,)),
    Case("session-setting", (f"ALTER TABLE {E} DISABLE TRIGGER ALL",), (), (20,)),
    Case(
        "session-setting",
        ("SET LOCAL lock_timeout = '5s'", "SET search_path TO cdb_demo", "RESET ROLE", "SET ROLE NONE"),
    ),
    Case(
        "breaks-readers",
        (
            "DROP VIEW cdb_demo.visit1",
            f"CREATE VIEW cdb_demo.visit1 AS SELECT exposure_id, day_obs FROM {E}",
        ),
        (),
        (21,),
    ),
    Case(
        "breaks-readers",
        (
            "DROP VIEW cdb_demo.visit1",
            f"CREATE VIEW cdb_demo.visit1 AS SELECT day_obs, exposure_id AS visit_id, band, note FROM {E}",
        ),
    ),
    Case(
        "breaks-readers",
        (
            "DROP VIEW cdb_demo.visit1",
            f"CREATE VIEW cdb_demo.visit1 AS SELECT exposure_id AS visit_id, day_obs::text, band FROM {E}",
        ),
        (),
        (21,),
    ),
    Case(
        "breaks-readers",
        ("CREATE TYPE cdb_demo.k AS ENUM ('a')", "ALTER TYPE cdb_demo.k RENAME VALUE 'a' TO 'b'"),
        (),
        (21,),
    ),
    Case("explicit-lock", (f"LOCK TABLE {E} IN ACCESS EXCLUSIVE MODE",), (), (20,)),
    Case("explicit-lock", (f"ALTER TABLE {E} ADD COLUMN a int",)),
    Case("explicit-lock", ("SET LOCAL lock_timeout = '500ms'", f"LOCK TABLE {E} IN ACCESS EXCLUSIVE MODE")),
    Case("lock-timeout", (f"LOCK TABLE {E} IN SHARE MODE",), (), (20,)),
    Case("index-under-lock", ("REINDEX TABLE cdb_demo.spare",), (), (20,)),
)
