"""Read a column of a schema file under Felis's rules."""

from __future__ import annotations

from consdb_actions.adapters.felis_keys import DATATYPES, INTEGERS, REALS, SIZED, TEXTS
from consdb_actions.adapters.felis_types import type_remedy
from consdb_actions.adapters.problems import Problem, shorten
from consdb_actions.adapters.schema_fields import Fields
from consdb_actions.adapters.yaml_tree import Node
from consdb_actions.schema.model import Column

__all__ = ["read_column"]

_METADATA = (
    "tap:column_index",
    "tap:principal",
    "tap:std",
    "votable:arraysize",
    "votable:datatype",
    "votable:utype",
    "votable:xtype",
    "mysql:datatype",
)
_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def read_column(
    node: Node, table: str, number: int, problems: list[Problem], notes: list[str]
) -> tuple[Fields, Column | None]:
    """Read one column."""
    named = node.value.get("name") if isinstance(node.value, dict) else None
    label = f'column "{table}.{named.text}"' if named and isinstance(named.value, str) else ""
    fields = Fields(node, "column", label or f'column {number} of table "{table}"', problems)
    name = fields.name() if fields.usable else ""
    if not name:
        return fields, None
    what = fields.what
    if name in _SYSTEM_COLUMNS:
        fields.problem("name", f"{what} has a name that Postgres keeps for itself", "Choose another name.")
    datatype = fields.choice("datatype", DATATYPES)
    if fields.node("datatype") is None:
        fields.problem("", f"{what} has no datatype", f"Add datatype: and one of {', '.join(DATATYPES)}.")
    length = fields.integer("length", least=1)
    if datatype in SIZED and fields.node("length") is None:
        fields.problem(
            "datatype", f"{what} is of type {datatype} and has no length", "Add length: and a number."
        )
    if datatype and datatype not in SIZED and length is not None:
        notes.append(f"line {fields.line('length')}: {what} has a length, which type {datatype} does not use")
        length = None
    precision = fields.integer("precision", least=0)
    if precision is not None and datatype and datatype != "timestamp":
        fields.problem("precision", f"{what} has a precision, but is no timestamp", "Remove the precision.")
    elif precision is not None and precision > 6:
        fields.problem("precision", f"{what} has precision {precision}; Postgres keeps at most 6", "Write 6.")
    autoincrement = fields.flag("autoincrement", default=None)
    default = _default(fields, datatype)
    if default is not None and autoincrement:
        fields.problem("value", f"{what} has a default value and is autoincremented", "Keep one of the two.")
    units = [text for key in ("ivoa:unit", "fits:tunit") if (text := fields.text(key))]
    if len(units) > 1:
        fields.problem("fits:tunit", f"{what} has an IVOA unit and a FITS unit", "Keep one of the two.")
    override = fields.text("postgresql:datatype")
    if remedy := type_remedy(override) if override else "":
        cause = f"{what} has a postgresql:datatype that Felis cannot use: {shorten(override)}"
        fields.problem("postgresql:datatype", cause, remedy)
    column = Column(
        name=name,
        id=fields.text("@id") or f"#{table}.{name}",
        datatype=datatype,
        length=length,
        precision=precision,
        nullable=fields.flag("nullable", default=True) is not False,
        autoincrement=autoincrement,
        default=default,
        description=fields.text("description"),
        unit=units[0] if units else "",
        ucd=fields.text("ivoa:ucd"),
        type_overrides=(("postgresql", override),) if override else (),
        metadata=tuple(sorted(fields.annotations(*_METADATA))),
    )
    return fields, column


def _default(fields: Fields, datatype: str) -> str | int | float | bool | None:
    """Return the default value when its YAML type fits the column's."""
    node = fields.node("value")
    if node is None or node.value is None:
        return None
    value = node.value
    wanted, remedy = _expected_default(value, datatype)
    if wanted:
        kind = "text" if isinstance(value, str) else type(value).__name__
        cause = f"the default value {shorten(node.text)} ({kind} in YAML) of {fields.what} must be {wanted}"
        fields.problem("value", cause, remedy)
        return None
    if isinstance(value, str):
        return fields.text("value")
    assert isinstance(value, (int, float))
    return value


def _expected_default(value: object, datatype: str) -> tuple[str, str]:
    """Return the required kind of default and its remedy; empty when it fits."""
    bare = "Write it without quotes."
    if isinstance(value, bool):
        fits = datatype not in INTEGERS | REALS | TEXTS
        return ("", "") if fits else (f"a {datatype}", "Put it in quotes if it is text, else write a number.")
    if not isinstance(value, (str, int, float)):
        return "text or a number", "Put it in quotes."
    if datatype in INTEGERS and not isinstance(value, int):
        return "a whole number", bare
    if datatype in REALS and not isinstance(value, float):
        return "a decimal number", "Write it with a point and without quotes, such as 0.0."
    if datatype in TEXTS and not isinstance(value, str):
        return "text", "Put it in quotes."
    if datatype in TEXTS and not str(value).strip():
        return "a text that is not empty", "Remove the value, or write one."
    if datatype == "boolean":
        return "true or false", "Write one of them, without quotes."
    return "", ""
