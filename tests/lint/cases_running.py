"""Cases of the rules about what will not run, or not as meant: (rule, upgrade, downgrade, hits expected)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["RUNNING", "Case"]


class Case(NamedTuple):
    """Statements, and the lines in which the rule finds something: upgrade from 20, downgrade from 60."""

    rule: str
    upgrade: tuple[str, ...] = ()
    downgrade: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()


E = "cdb_demo.exposure"
LONG = "c" * 70

RUNNING = (
    Case("unparseable", ("ALTER TABLE cdb_demo.spare ADD", "SELECT 1"), ("SELEC 1",), (20, 60)),
    Case("unparseable", ("SELECT 1;;", "-- nothing")),
    # does-not-apply: only the first of each direction
    Case(
        "does-not-apply",
        (f"ALTER TABLE {E} DROP COLUMN gone", f"ALTER TABLE {E} DROP COLUMN lost"),
        (f"ALTER TABLE {E} DROP COLUMN lost",),
        (20,),
    ),
    Case("does-not-apply", (f"ALTER TABLE {E} ADD COLUMN note text",), (), (20,)),
    Case("does-not-apply", (f"ALTER TABLE {E} DROP COLUMN band",), (), (20,)),
    Case("does-not-apply", (f"ALTER TABLE {E} ALTER band TYPE text",), (), (20,)),
    Case("does-not-apply", ("DROP VIEW cdb_demo.visit1", f"ALTER TABLE {E} DROP COLUMN band")),
    Case("does-not-apply", (f"ALTER TABLE {E} DROP CONSTRAINT exposure_pkey",), (), (20,)),
    Case(
        "does-not-apply",
        (
            "ALTER TABLE cdb_demo.quick DROP CONSTRAINT fk_quick",
            f"ALTER TABLE {E} DROP CONSTRAINT exposure_pkey",
        ),
    ),
    Case("does-not-apply", (f"ALTER TABLE {E} DROP CONSTRAINT no_such_key",), (), (20,)),
    Case(
        "does-not-apply",
        (f"ALTER TABLE cdb_demo.spare ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES {E} (day_obs)",),
        (),
        (20,),
    ),
    Case(
        "does-not-apply",
        (
            f"ALTER TABLE {E} ADD CONSTRAINT u UNIQUE (day_obs)",
            f"ALTER TABLE cdb_demo.spare ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES {E} (day_obs)",
        ),
    ),
    Case("does-not-apply", (f"CREATE VIEW cdb_demo.v AS SELECT exposure_id, dimm FROM {E}",), (), (20,)),
    Case(
        "does-not-apply",
        (f"CREATE OR REPLACE VIEW cdb_demo.visit1 AS SELECT exposure_id AS visit_id, band FROM {E}",),
        (),
        (20,),
    ),
    Case(
        "does-not-apply",
        (
            "CREATE OR REPLACE VIEW cdb_demo.visit1 AS "
            f"SELECT exposure_id AS visit_id, day_obs, band, note FROM {E}",
        ),
    ),
    Case("does-not-apply", (f"CREATE VIEW cdb_demo.v AS SELECT band AS b FROM {E} ORDER BY b, note",)),
    Case("does-not-apply", ("DROP TABLE cdb_demo.exposure",), (), (20,)),
    Case(
        "does-not-apply",
        ("DROP VIEW cdb_demo.visit1", "DROP TABLE cdb_demo.exposure, cdb_demo.quick"),
    ),
    Case("does-not-apply", ("DROP TABLE IF EXISTS cdb_demo.no_such_table",)),
    Case("does-not-apply", ("ALTER TABLE elsewhere.t DROP COLUMN a",), (), (20,)),
    Case("does-not-apply", ("DO $$ BEGIN END $$", f"ALTER TABLE {E} DROP COLUMN gone"), (), (21,)),
    Case("does-not-apply", (), ("DROP TABLE cdb_demo.gone",), (60,)),
    # what comes after an upgrade that stops is not its downgrade's fault
    Case("does-not-apply", ("DROP TABLE cdb_demo.gone",), ("DROP TABLE cdb_demo.lost",), (20,)),
    # conversions that need USING
    Case("does-not-apply", (f"ALTER TABLE {E} ALTER note TYPE integer",), (), (20,)),
    Case("does-not-apply", (), (f"ALTER TABLE {E} ALTER img_type TYPE integer",), (60,)),
    Case("does-not-apply", (f"ALTER TABLE {E} ALTER note TYPE integer USING note::integer",)),
    Case("does-not-apply", ("DROP INDEX cdb_demo.un_day",), (), (20,)),
    Case("does-not-apply", ("DROP SCHEMA cdb_demo",), (), (20,)),
    # roles and publications can be there without the history
    Case("does-not-apply", ("GRANT SELECT ON cdb_demo.spare TO a_service", "DROP PUBLICATION usdfpub")),
    Case("does-not-apply", ("COMMENT ON COLUMN cdb_demo.exposure.gone IS 'x'",), (), (20,)),
    Case("does-not-apply", ("GRANT SELECT ON cdb_demo.gone TO usdf",), (), (20,)),
    Case("does-not-apply", ("UPDATE cdb_demo.gone SET a = 1",), (), (20,)),
    Case(
        "does-not-apply",
        (
            "CREATE SEQUENCE cdb_demo.counter",
            "GRANT SELECT ON cdb_demo.counter TO usdf",
            "CREATE VIEW cdb_demo.v AS SELECT last_value FROM cdb_demo.counter",
            "ALTER TABLE cdb_demo.counter RENAME TO other_seq",
        ),
        ("DROP VIEW cdb_demo.v", "DROP SEQUENCE cdb_demo.other_seq", "CREATE TABLE cdb_demo.counter (a int)"),
    ),
    Case("does-not-apply", ("CREATE SEQUENCE cdb_demo.spare",), (), (20,)),
    Case(
        "does-not-apply", ("DROP INDEX cdb_demo.ix_band", "CREATE INDEX ix_band ON cdb_demo.exposure (note)")
    ),
    Case("does-not-apply", ("CREATE INDEX ix_band ON cdb_demo.exposure (note)",), (), (20,)),
    # not-null-without-default
    Case(
        "not-null-without-default",
        (f"ALTER TABLE {E} ADD COLUMN x int NOT NULL",),
        (f"ALTER TABLE {E} ADD COLUMN y int NOT NULL",),
        (20, 60),
    ),
    Case(
        "not-null-without-default",
        (
            f"ALTER TABLE {E} ADD COLUMN x int NOT NULL DEFAULT 0",
            f"ALTER TABLE {E} ADD COLUMN y int",
            f"ALTER TABLE {E} ADD COLUMN z int GENERATED ALWAYS AS IDENTITY",
            "CREATE TABLE cdb_demo.t (a int)",
            "ALTER TABLE cdb_demo.t ADD COLUMN b int NOT NULL",
        ),
    ),
    # needs-autocommit
    Case("needs-autocommit", (f"CREATE INDEX CONCURRENTLY i ON {E} (note)", "VACUUM"), (), (20, 21)),
    Case("needs-autocommit", (), ("DROP INDEX CONCURRENTLY cdb_demo.ix_band",), (60,)),
    Case(
        "needs-autocommit",
        ("ALTER SYSTEM SET fsync = off", "REINDEX TABLE CONCURRENTLY cdb_demo.spare"),
        (),
        (20, 21),
    ),
    Case("needs-autocommit", (f"CREATE INDEX i ON {E} (note)", "ANALYZE", "REINDEX TABLE cdb_demo.spare")),
    # unqualified-name
    Case("unqualified-name", ("ALTER TABLE exposure DROP COLUMN note",), ("DROP VIEW visit1",), (20, 60)),
    Case("unqualified-name", (f"UPDATE {E} SET note = o.note FROM other o",), (), (20,)),
    Case(
        "unqualified-name",
        (
            f"WITH q AS (SELECT 1 AS a) UPDATE {E} SET note = q.a FROM q",
            "CREATE TEMP TABLE kept (a int)",
            "INSERT INTO kept SELECT exposure_id FROM cdb_demo.exposure",
            "SELECT 1 FROM pg_class",
            "SET LOCAL search_path TO cdb_demo",
            "ALTER TABLE exposure ADD COLUMN fine int",
        ),
    ),
    # other-schema
    Case("other-schema", ("ALTER TABLE cdb_latiss.exposure ADD COLUMN a int",), (), (20,)),
    Case("other-schema", ("SELECT nextval('cdb_latiss.s')", "SELECT 1"), (), (20,)),
    Case("other-schema", ("CREATE VIEW cdb_demo.v AS SELECT 1 FROM cdb_latiss.exposure",), (), (20,)),
    Case("other-schema", (), ("GRANT SELECT ON ALL TABLES IN SCHEMA cdb_latiss TO usdf",), (60,)),
    Case("other-schema", ("SET search_path TO cdb_latiss",), (), (20,)),
    Case("other-schema", ("SELECT set_config('search_path', 'cdb_latiss', true)",), (), (20,)),
    Case("other-schema", ("CREATE TABLE public.t (a int)",), (), (20,)),
    Case("other-schema", ("SET search_path TO public", "CREATE TABLE t (a int)"), (), (21,)),
    Case("other-schema", ("SET search_path TO cdb_demo, public", "CREATE TABLE t (a int)")),
    Case("other-schema", ("CREATE TEMPORARY TABLE t (a int)", "INSERT INTO t VALUES (1)")),
    Case("other-schema", ("COMMENT ON TABLE cdb_latiss.exposure IS 'x'",), (), (20,)),
    Case("other-schema", ("ALTER TABLE cdb_demo.spare SET SCHEMA cdb_latiss",), (), (20,)),
    Case(
        "other-schema",
        (
            f"ALTER TABLE {E} ADD COLUMN region public.spoly DEFAULT public.spoly('{{}}')",
            "GRANT SELECT ON ALL TABLES IN SCHEMA cdb TO oods",
            "SELECT count(*) FROM pg_catalog.pg_class, information_schema.tables",
            f"COMMENT ON TABLE {E} IS 'see cdb_latiss.exposure'",
            "SET search_path TO cdb_demo, public",
        ),
    ),
    # long-identifier
    Case(
        "long-identifier",
        (f"ALTER TABLE {E} ADD COLUMN {LONG} int", f'ALTER TABLE {E} ADD COLUMN "{"é" * 32}" int'),
        (),
        (20, 21),
    ),
    Case(
        "long-identifier",
        (
            f"ALTER TABLE {E} ADD COLUMN {LONG[:63]} int",
            f"ALTER TABLE {E} RENAME COLUMN {LONG} TO short",
            f"COMMENT ON COLUMN {E}.short IS '{LONG}'",
        ),
    ),
    # cascade
    Case(
        "cascade",
        (
            f"ALTER TABLE {E} DROP COLUMN band CASCADE",
            f"ALTER TABLE {E} DROP CONSTRAINT exposure_pkey CASCADE",
        ),
        (
            "DROP TABLE cdb_demo.quick CASCADE",
            "DROP SCHEMA cdb_demo CASCADE",
            "TRUNCATE cdb_demo.spare CASCADE",
        ),
        (20, 21, 60, 61, 62),
    ),
    Case(
        "cascade",
        (
            f"ALTER TABLE {E} DROP COLUMN note",
            "ALTER TABLE cdb_demo.quick ADD CONSTRAINT f FOREIGN KEY (exposure_id) "
            f"REFERENCES {E} (exposure_id) ON DELETE CASCADE",
        ),
    ),
)
