"""Tables like those of ConsDB in SQL, and databases for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from hypothesis import strategies as st

from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.rows import SeedResult, seed
from consdb_actions.catalog import Snapshot
from consdb_actions.migration.data import Rows

SCHEMA = "cdb_demo"

# Composite keys, unique keys, and children with several foreign keys over shared columns.
FAMILY = """
CREATE TABLE exposure (
    exposure_id bigint NOT NULL UNIQUE, day_obs integer NOT NULL, seq_num integer NOT NULL,
    band varchar(1), obs_start timestamp(6), airmass double precision, s_region varchar(1024),
    pgs_region spoly, "odd ""name"" %s :x" text,
    PRIMARY KEY (day_obs, seq_num), UNIQUE (exposure_id, day_obs, seq_num));
CREATE TABLE ccdexposure (
    ccdexposure_id bigint NOT NULL UNIQUE, exposure_id bigint NOT NULL, detector integer NOT NULL,
    day_obs integer NOT NULL, seq_num integer NOT NULL, flags smallint, good boolean,
    PRIMARY KEY (day_obs, seq_num, detector), UNIQUE (exposure_id, detector),
    UNIQUE (ccdexposure_id, day_obs, seq_num, detector),
    FOREIGN KEY (exposure_id) REFERENCES exposure (exposure_id),
    FOREIGN KEY (day_obs, seq_num) REFERENCES exposure (day_obs, seq_num),
    FOREIGN KEY (exposure_id, day_obs, seq_num) REFERENCES exposure (exposure_id, day_obs, seq_num));
CREATE TABLE keyword (key varchar(128) PRIMARY KEY, dtype varchar(64) NOT NULL, doc text);
CREATE TABLE ccdexposure_flexdata (
    obs_id bigint, key varchar(128) NOT NULL REFERENCES keyword, value text,
    day_obs integer NOT NULL, seq_num integer NOT NULL, detector integer NOT NULL,
    PRIMARY KEY (day_obs, seq_num, detector, key),
    FOREIGN KEY (obs_id) REFERENCES ccdexposure (ccdexposure_id),
    FOREIGN KEY (day_obs, seq_num, detector) REFERENCES ccdexposure (day_obs, seq_num, detector),
    FOREIGN KEY (obs_id, day_obs, seq_num, detector)
        REFERENCES ccdexposure (ccdexposure_id, day_obs, seq_num, detector));
CREATE TABLE exposure_quicklook (
    exposure_id bigint, day_obs integer, seq_num integer, seeing real, note character(20),
    PRIMARY KEY (day_obs, seq_num),
    FOREIGN KEY (exposure_id, day_obs, seq_num) REFERENCES exposure (exposure_id, day_obs, seq_num));
CREATE TABLE schedule (id serial PRIMARY KEY, start_time timestamp, status text, block numeric(8, 3));
"""


@contextmanager
def database(server: ScratchServer, name: str, sql: str = "") -> Iterator[sa.Connection]:
    """Connect to a new database with tables in :data:`SCHEMA`."""
    engine = sa.create_engine(server.create_database(name), poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            run(connection, f"CREATE SCHEMA {SCHEMA}; {sql}")
            yield connection
    finally:
        server.drop_database(name)


def run(connection: sa.Connection, sql: str) -> None:
    """Run statements in :data:`SCHEMA`, without parameters."""
    connection.execute(sa.text(f"SET LOCAL search_path TO {SCHEMA}, public"))
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(sql)
    connection.execute(sa.text("SET LOCAL search_path TO public"))


def filled(connection: sa.Connection, sql: str, rows: int = 8) -> tuple[Snapshot, SeedResult]:
    """Create tables and seed them."""
    run(connection, sql)
    snapshot = read_snapshot(connection, SCHEMA)
    return snapshot, seed(connection, snapshot, rows=rows)


def column(rows: Rows, table: str, name: str) -> list[str | None]:
    found = rows[table]
    return [row[found.columns.index(name)] for row in found.rows]


def blank(rows: Rows) -> list[tuple[str, str]]:
    """Return the columns with nothing but NULL: effects on their values would be invisible."""
    return [
        (table.table, name)
        for table in rows.values()
        for name in table.columns
        if all(value is None for value in column(rows, table.table, name))
    ]


@st.composite
def families(draw: st.DrawFn) -> str:
    """Draw tables with keys of one to three columns and foreign keys between any of them."""
    count = draw(st.integers(1, 5))
    types = st.sampled_from(["integer", "bigint", "varchar(12)", "smallint", "double precision", "boolean"])
    keys, out, late = [], [], []
    for number in range(count):
        key_types = draw(st.lists(st.sampled_from(["integer", "varchar(12)"]), min_size=1, max_size=3))
        columns = [f"k{i} {t} NOT NULL" for i, t in enumerate(key_types)]
        columns += [f"c{i} {t}" for i, t in enumerate(draw(st.lists(types, max_size=3)))]
        keys.append(key_types)
        links = []
        for link in range(draw(st.integers(0, 2))):
            target = draw(st.integers(0, number))
            null = "" if draw(st.booleans()) or target == number else " NOT NULL"
            wanted = keys[target]
            # Columns of the key are used again if their types match, so that keys share columns.
            mine = [
                f"k{i}"
                if target != number and i < len(key_types) and key_types[i] == t and draw(st.booleans())
                else f"f{link}_{i}"
                for i, t in enumerate(wanted)
            ]
            columns += [f"{m} {t}{null}" for m, t in zip(mine, wanted, strict=True) if m.startswith("f")]
            theirs = ", ".join(f"k{i}" for i in range(len(wanted)))
            links.append(f"FOREIGN KEY ({', '.join(mine)}) REFERENCES t{target} ({theirs})")
            if draw(st.booleans()):
                links.append(f"UNIQUE ({', '.join(mine)})")
        key = ", ".join(f"k{i}" for i in range(len(key_types)))
        out.append(f"CREATE TABLE t{number} ({', '.join([*columns, f'PRIMARY KEY ({key})', *links])})")
        if draw(st.booleans()):
            deferrable = draw(st.sampled_from(["", " DEFERRABLE"]))
            target = draw(st.integers(0, number))
            late.append(f"ALTER TABLE t{target} ADD COLUMN late{number} {key_types[0]}")
            if len(key_types) == 1:
                late.append(
                    f"ALTER TABLE t{target} ADD FOREIGN KEY (late{number}) REFERENCES t{number}{deferrable}"
                )
    return ";".join([*out, *late])
