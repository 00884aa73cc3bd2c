"""Cases of the rules about locks, readers and losses."""

from __future__ import annotations

from tests.lint.cases_running import Case

__all__ = ["LOCKS", "READERS"]

E = "cdb_demo.exposure"
NEW = "CREATE TABLE cdb_demo.t (a int, b text)"
FOREIGN = f"ALTER TABLE cdb_demo.spare ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES {E} (exposure_id)"
REMAKE = (
    "DROP VIEW cdb_demo.visit1",
    f"CREATE VIEW cdb_demo.visit1 AS SELECT exposure_id AS visit_id, day_obs, band FROM {E}",
)
VISITS = f"SELECT exposure_id AS visit_id, day_obs, band FROM {E}"
REPLACE = f"CREATE OR REPLACE VIEW cdb_demo.visit1 AS {VISITS}"
MORE = "CREATE OR REPLACE VIEW cdb_demo.visit1 AS SELECT exposure_id AS visit_id, day_obs, band, note"
GRANTED = "GRANT SELECT ON cdb_demo.visit1 TO usdf, oods"

LOCKS = (
    Case(
        "table-rewrite",
        (
            f"ALTER TABLE {E} ALTER seq_num TYPE bigint",
            f"ALTER TABLE {E} ALTER note TYPE text USING upper(note)",
            f"ALTER TABLE {E} ALTER img_type TYPE varchar(4)",
            "CLUSTER cdb_demo.spare USING spare_pkey",
            f"ALTER TABLE {E} SET TABLESPACE pg_default",
            "REINDEX TABLE cdb_demo.spare",
        ),
        (f"ALTER TABLE {E} ALTER seq_num TYPE integer",),
        (20, 21, 22, 23, 24, 25),
    ),
    Case(
        "table-rewrite",
        (
            f"ALTER TABLE {E} ALTER img_type TYPE varchar(16)",
            f"ALTER TABLE {E} ALTER img_type TYPE text USING img_type::text",
            f"ALTER TABLE {E} ALTER amount TYPE numeric(12, 2)",
            f"ALTER TABLE {E} ALTER seen TYPE timestamp(6)",
            NEW,
            "ALTER TABLE cdb_demo.t ALTER a TYPE bigint",
        ),
    ),
    Case(
        "not-null-scan",
        (f"ALTER TABLE {E} ALTER note SET NOT NULL",),
        (f"ALTER TABLE {E} ALTER img_type SET NOT NULL",),
        (20,),
    ),
    Case(
        "not-null-scan",
        (
            f"ALTER TABLE {E} ADD CONSTRAINT c CHECK (note IS NOT NULL) NOT VALID",
            f"ALTER TABLE {E} ALTER note SET NOT NULL",
        ),
        (),
        (21,),
    ),
    Case(
        "not-null-scan",
        (
            f"ALTER TABLE {E} ADD CONSTRAINT c CHECK (note IS NOT NULL) NOT VALID",
            f"ALTER TABLE {E} VALIDATE CONSTRAINT c",
            f"ALTER TABLE {E} ALTER note SET NOT NULL",
            f"ALTER TABLE {E} ALTER day_obs SET NOT NULL",
            NEW,
            "ALTER TABLE cdb_demo.t ALTER a SET NOT NULL",
        ),
    ),
    Case(
        "foreign-key-scan",
        (
            FOREIGN,
            f"ALTER TABLE cdb_demo.spare ADD COLUMN e bigint DEFAULT 1 REFERENCES {E} (exposure_id)",
        ),
        (),
        (20, 21),
    ),
    Case(
        "foreign-key-scan",
        (
            f"{FOREIGN} NOT VALID",
            "ALTER TABLE cdb_demo.spare VALIDATE CONSTRAINT f",
        ),
        (),
        (21,),
    ),
    Case(
        "foreign-key-scan",
        (
            f"{FOREIGN} NOT VALID",
            f"ALTER TABLE cdb_demo.spare ADD COLUMN e bigint REFERENCES {E} (exposure_id)",
            f"CREATE TABLE cdb_demo.t (a bigint REFERENCES {E} (exposure_id))",
            f"ALTER TABLE cdb_demo.t ADD CONSTRAINT g FOREIGN KEY (a) REFERENCES {E} (exposure_id)",
        ),
    ),
    Case("check-scan", (f"ALTER TABLE {E} ADD CONSTRAINT c CHECK (seq_num > 0)",), (), (20,)),
    Case(
        "check-scan",
        (
            f"ALTER TABLE {E} ADD CONSTRAINT c CHECK (seq_num > 0) NOT VALID",
            f"ALTER TABLE {E} VALIDATE CONSTRAINT c",
        ),
        (),
        (21,),
    ),
    Case(
        "check-scan",
        (
            f"ALTER TABLE {E} ADD CONSTRAINT c CHECK (seq_num > 0) NOT VALID",
            NEW,
            "ALTER TABLE cdb_demo.t ADD CHECK (a > 0)",
        ),
    ),
    Case(
        "key-under-lock",
        (
            f"ALTER TABLE {E} ADD CONSTRAINT u UNIQUE (exposure_id, band)",
            "ALTER TABLE cdb_demo.spare DROP CONSTRAINT spare_pkey, ADD PRIMARY KEY (id)",
            f"ALTER TABLE {E} ADD COLUMN c int UNIQUE",
        ),
        (f"ALTER TABLE {E} ADD CONSTRAINT w UNIQUE (exposure_id, note)",),
        (20, 21, 22),
    ),
    Case(
        "key-under-lock",
        (
            f"CREATE UNIQUE INDEX i ON {E} (exposure_id, band)",
            f"ALTER TABLE {E} ADD CONSTRAINT u UNIQUE USING INDEX i",
            NEW,
            "ALTER TABLE cdb_demo.t ADD PRIMARY KEY (a)",
        ),
    ),
    Case("index-under-lock", (f"CREATE INDEX i ON {E} (note)",), (f"CREATE INDEX j ON {E} (note)",), (20,)),
    Case(
        "index-under-lock",
        (f"CREATE INDEX CONCURRENTLY i ON {E} (note)", NEW, "CREATE INDEX j ON cdb_demo.t (a)"),
    ),
    Case(
        "table-rewrite",
        (
            f"ALTER TABLE {E} ADD COLUMN a uuid DEFAULT gen_random_uuid()",
            f"ALTER TABLE {E} ADD COLUMN b timestamp DEFAULT clock_timestamp()",
            f"ALTER TABLE {E} ADD COLUMN c bigserial",
            f"ALTER TABLE {E} ADD COLUMN d int GENERATED BY DEFAULT AS IDENTITY",
            f"ALTER TABLE {E} ADD COLUMN e int GENERATED ALWAYS AS (seq_num + 1) STORED",
        ),
        (),
        (20, 21, 22, 23, 24),
    ),
    Case(
        "table-rewrite",
        (
            f"ALTER TABLE {E} ADD COLUMN a int DEFAULT 1 + 1",
            f"ALTER TABLE {E} ADD COLUMN b timestamp DEFAULT now()",
            f"ALTER TABLE {E} ADD COLUMN c timestamp DEFAULT CURRENT_TIMESTAMP",
            f"ALTER TABLE {E} ALTER note SET DEFAULT gen_random_uuid()",
            "CREATE TABLE cdb_demo.t (a serial, b uuid DEFAULT gen_random_uuid())",
            "ALTER TABLE cdb_demo.t ADD COLUMN c bigserial",
        ),
    ),
    Case(
        "lock-timeout",
        ("SELECT 1", f"ALTER TABLE {E} ADD COLUMN a int", "DROP VIEW cdb_demo.visit1"),
        (),
        (21,),
    ),
    Case("lock-timeout", ("SET lock_timeout = 0", f"ALTER TABLE {E} ADD COLUMN a int"), (), (21,)),
    Case("lock-timeout", ("SET LOCAL lock_timeout = '5s'", f"ALTER TABLE {E} ADD COLUMN a int")),
    Case("lock-timeout", ("SELECT set_config('lock_timeout', '5s', true)", f"TRUNCATE {E}")),
    Case(
        "lock-timeout",
        (
            NEW,
            "ALTER TABLE cdb_demo.t ADD COLUMN c int",
            f"COMMENT ON TABLE {E} IS 'x'",
            f"GRANT SELECT ON {E} TO usdf",
            f"UPDATE {E} SET note = 'x'",
        ),
        (f"ALTER TABLE {E} DROP COLUMN note",),
    ),
)

READERS = (
    Case(
        "data-loss",
        (
            f"ALTER TABLE {E} DROP COLUMN note",
            "DROP TABLE cdb_demo.spare",
            "TRUNCATE cdb_demo.quick",
            "DELETE FROM cdb_demo.quick WHERE seeing > 3",
        ),
        (f"ALTER TABLE {E} DROP COLUMN amount",),
        (20, 21, 22, 23),
    ),
    # a column that is only compared is not copied
    Case(
        "data-loss",
        (
            f"UPDATE {E} SET note = 'x' FROM cdb_demo.spare s WHERE s.value = band",
            "ALTER TABLE cdb_demo.spare DROP COLUMN value",
        ),
        (),
        (21,),
    ),
    Case(
        "data-loss",
        (
            f"UPDATE {E} SET note = s.value FROM cdb_demo.spare s WHERE s.id = exposure_id",
            "ALTER TABLE cdb_demo.spare RENAME COLUMN value TO worth",
            "ALTER TABLE cdb_demo.spare DROP COLUMN worth",
            f"ALTER TABLE {E} ADD COLUMN tmp int",
            f"ALTER TABLE {E} DROP COLUMN tmp",
            NEW,
            "DROP TABLE cdb_demo.t",
            f"ALTER TABLE {E} DROP COLUMN IF EXISTS never_there",
            "DROP VIEW cdb_demo.visit1",
        ),
    ),
    Case(
        "data-loss",
        (
            "CREATE TABLE cdb_demo.t (id bigint, value text)",
            "INSERT INTO cdb_demo.t SELECT * FROM cdb_demo.spare",
            "DROP TABLE cdb_demo.spare",
            f"UPDATE {E} e SET note = (SELECT seeing FROM cdb_demo.quick q WHERE q.exposure_id = 1)",
            "ALTER TABLE cdb_demo.quick DROP COLUMN seeing",
        ),
    ),
    Case(
        "downgrade-loss",
        (f"ALTER TABLE {E} ADD COLUMN a int, ADD COLUMN b int", NEW),
        (
            "SELECT 1",
            "DROP TABLE cdb_demo.t",
            f"ALTER TABLE {E} DROP COLUMN b",
            f"ALTER TABLE {E} DROP COLUMN a",
        ),
        (61, 62, 63),
    ),
    Case(
        "downgrade-loss", (f"ALTER TABLE {E} DROP COLUMN note",), (f"ALTER TABLE {E} ADD COLUMN note text",)
    ),
    Case(
        "breaks-readers",
        (
            f"ALTER TABLE {E} RENAME COLUMN band TO filter",
            "ALTER TABLE cdb_demo.spare RENAME TO other",
            "ALTER TABLE cdb_demo.quick SET SCHEMA cdb",
            "DROP VIEW cdb_demo.visit1",
        ),
        (f"ALTER TABLE {E} RENAME COLUMN filter TO band",),
        (20, 21, 22, 23),
    ),
    Case(
        "breaks-readers",
        (
            *REMAKE,
            f"ALTER TABLE {E} RENAME CONSTRAINT un_day TO un_day_seq",
            "ALTER INDEX cdb_demo.ix_band RENAME TO ix_filter",
            f"ALTER TABLE {E} ADD COLUMN a int",
            f"ALTER TABLE {E} RENAME COLUMN a TO b",
            NEW,
            "ALTER TABLE cdb_demo.t RENAME TO u",
        ),
    ),
    Case("breaks-readers", ("ALTER VIEW cdb_demo.visit1 RENAME COLUMN visit_id TO id",), (), (20,)),
    Case("breaks-readers", (*REMAKE, "ALTER TABLE cdb_demo.visit1 RENAME COLUMN day_obs TO day"), (), (22,)),
    Case("breaks-readers", (REMAKE[0], f"{REMAKE[1]} WHERE day_obs > 0"), (), (21,)),
    Case("breaks-readers", (f"{REPLACE} WHERE day_obs > 0",), (), (20,)),
    Case("breaks-readers", (f"{REPLACE} JOIN cdb_demo.quick q USING (exposure_id)",), (), (20,)),
    Case("breaks-readers", (f"{REPLACE} UNION ALL {VISITS} WHERE false",), (), (20,)),
    Case("breaks-readers", (f"{MORE} FROM {E}", f"ALTER TABLE {E} RENAME CONSTRAINT exposure_pkey TO k")),
    Case(
        "breaks-readers",
        (
            REMAKE[0],
            "ALTER TABLE cdb_demo.exposure RENAME day_obs TO day",
            f"{REMAKE[1].replace('day_obs', 'day AS day_obs')} WHERE day > 0",
        ),
        (),
        (21,),
    ),
    # What a block does is not judged.
    Case("breaks-readers", (f"DO $$ BEGIN EXECUTE '{REPLACE} WHERE day_obs > 0'; END $$",)),
    Case("breaks-readers", (*REMAKE, f"COMMENT ON TABLE {E} IS 'x'"), (f"{REPLACE} WHERE day_obs > 0",)),
    Case("view-grants-lost", REMAKE, REMAKE, (21, 61)),
    Case("view-grants-lost", (*REMAKE, "GRANT SELECT ON cdb_demo.visit1 TO usdf"), (), (21,)),
    Case("view-grants-lost", (*REMAKE, GRANTED), (*REMAKE, GRANTED)),
    Case(
        "view-grants-lost",
        (REMAKE[1].replace("CREATE", "CREATE OR REPLACE"),),
    ),
    Case(
        "view-grants-lost",
        (*REMAKE, "GRANT ALL PRIVILEGES ON ALL TABLES IN SCHEMA cdb_demo TO usdf, oods"),
    ),
    Case("view-without-grant", (f"CREATE VIEW cdb_demo.v AS SELECT * FROM {E}",), (), (20,)),
    Case(
        "view-without-grant",
        (f"CREATE VIEW cdb_demo.v AS SELECT * FROM {E}", "GRANT SELECT ON cdb_demo.v TO oods, usdf", *REMAKE),
    ),
    Case("table-without-grant", (NEW, "GRANT SELECT ON cdb_demo.t TO usdf"), (), (20,)),
    Case("table-without-grant", (NEW, "GRANT SELECT ON cdb_demo.t TO usdf, oods")),
    Case(
        "table-without-grant",
        ("ALTER DEFAULT PRIVILEGES IN SCHEMA cdb_demo GRANT SELECT ON TABLES TO usdf, oods", NEW),
    ),
    Case("table-without-grant", ("CREATE TEMP TABLE t (a int)", "CREATE TABLE cdb.t (a int)")),
    Case("table-without-publication", (NEW,), (), (20,)),
    Case("table-without-publication", (NEW, "ALTER PUBLICATION usdfpub ADD TABLE cdb_demo.t")),
    Case("table-without-publication", (NEW, "DROP TABLE cdb_demo.t")),
)
