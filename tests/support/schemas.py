"""A small schema in Felis YAML, and random ones."""

from __future__ import annotations

from hypothesis import strategies as st

from consdb_actions.adapters.schema_yaml import read_yaml
from consdb_actions.schema.model import Column, Constraint, Index, Schema, Table

SMALL = """\
name: cdb_demo
"@id": "#cdb_demo"
description: What a small camera saw.
version:
  current: "1.2.3"
tables:
- name: exposure
  "@id": "#exposure"
  description: One row per raw image.
  primaryKey: ["#exposure.day_obs", "#exposure.seq_num"]
  constraints:
  - name: un_exposure_id
    "@id": "#exposure.un_exposure_id"
    "@type": Unique
    description: The number of an exposure is its own.
    columns: ["#exposure.exposure_id"]
  - name: ck_exposure_seq
    "@id": "#exposure.ck_exposure_seq"
    "@type": Check
    expression: seq_num > 0
  indexes:
  - name: ix_exposure_band
    "@id": "#exposure.ix_exposure_band"
    columns: ["#exposure.band"]
  columns:
  - name: exposure_id
    "@id": "#exposure.exposure_id"
    datatype: long
    nullable: false
    description: Unique number of the exposure.
    ivoa:ucd: meta.id
  - name: day_obs
    "@id": "#exposure.day_obs"
    datatype: int
    nullable: false
    description: Day of observation.
    ivoa:ucd: time.epoch
  - name: seq_num
    "@id": "#exposure.seq_num"
    datatype: int
    nullable: false
    description: Number within the day.
    ivoa:ucd: meta.number
  - name: band
    "@id": "#exposure.band"
    datatype: string
    length: 8
    description: Band of the filter.
  - name: air_temp
    "@id": "#exposure.air_temp"
    datatype: float
    description: Temperature of the air.
    ivoa:unit: deg_C
    ivoa:ucd: phys.temperature
- name: exposure_quicklook
  "@id": "#exposure_quicklook"
  description: Quick measurements.
  primaryKey: "#exposure_quicklook.exposure_id"
  constraints:
  - name: fk_quicklook_exposure
    "@id": "#exposure_quicklook.fk_quicklook_exposure"
    "@type": ForeignKey
    description: Points to the exposure.
    columns: ["#exposure_quicklook.exposure_id"]
    referencedColumns: ["#exposure.exposure_id"]
    on_delete: CASCADE
  columns:
  - name: exposure_id
    "@id": "#exposure_quicklook.exposure_id"
    datatype: long
    nullable: false
    description: The exposure.
  - name: made_at
    "@id": "#exposure_quicklook.made_at"
    datatype: timestamp
    precision: 6
    value: CURRENT_TIMESTAMP
    description: When the row was made.
"""

_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
_TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs", "Cc")), max_size=20
).map(str.strip)


def small() -> Schema:
    return read_yaml(SMALL, source="small.yaml").schema


@st.composite
def columns(draw: st.DrawFn, table: str, name: str) -> Column:
    datatype = draw(st.sampled_from(["int", "long", "double", "string", "text", "timestamp", "boolean"]))
    return Column(
        name=name,
        id=f"#{table}.{name}",
        datatype=datatype,
        length=draw(st.integers(1, 64)) if datatype == "string" else None,
        precision=draw(st.sampled_from([None, 0, 6])) if datatype == "timestamp" else None,
        nullable=draw(st.booleans()),
        default=draw(st.sampled_from([None, 0, 7])) if datatype == "int" else None,
        description=draw(_TEXTS),
        unit=draw(st.sampled_from(["", "s", "deg"])),
        ucd=draw(st.sampled_from(["", "meta.id", "pos.eq.ra"])),
    )


@st.composite
def tables(draw: st.DrawFn, name: str) -> Table:
    """Draw a table with a few columns, keys and indexes."""
    names = draw(st.lists(_NAMES, min_size=1, max_size=5, unique=True))
    drawn = tuple(draw(columns(name, column)) for column in names)
    some = st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True).map(tuple)
    constraints = tuple(
        Constraint("unique", f"un_{name}_{number}", f"#{name}.un_{number}", columns=draw(some))
        for number in range(draw(st.integers(0, 2)))
    )
    indexes = (Index(f"ix_{name}", f"#{name}.ix", columns=draw(some)),) if draw(st.booleans()) else ()
    return Table(
        name=name,
        id=f"#{name}",
        description=draw(_TEXTS),
        primary_key=draw(some),
        columns=drawn,
        constraints=constraints,
        indexes=indexes,
    )


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """Draw a schema of up to three tables."""
    names = draw(st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta"]), max_size=3, unique=True))
    version = draw(st.sampled_from([None, "1.0.0", "1.1.0", "2.0.0", "odd"]))
    return Schema(
        name="cdb_x",
        id="#cdb_x",
        version=version,
        description=draw(_TEXTS),
        tables=tuple(draw(tables(name)) for name in names),
    )
