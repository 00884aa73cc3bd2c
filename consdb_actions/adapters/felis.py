"""Load schema files with Felis, and report its errors with file and line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, Index, MetaData, text
from sqlalchemy import Constraint as SqlConstraint
from sqlalchemy.sql.elements import TextClause

from consdb_actions.adapters.schema_yaml import ReadSchema
from consdb_actions.adapters.yaml_tree import FileError, Problem, shorten
from consdb_actions.schema.model import Column, Constraint, Schema, Table

if TYPE_CHECKING:
    from felis import datamodel

_COLON = re.compile(r"(?<![:\\]):(?=\w)")


def build_metadata(schema: datamodel.Schema[Any]) -> MetaData:
    """Return metadata with all tables in the Felis schema's name."""
    from felis import datamodel
    from felis.metadata import MetaDataBuilder

    class Builder(MetaDataBuilder):
        def build_constraint(self, constraint_obj: datamodel.Constraint) -> SqlConstraint:
            """Build a constraint; the expression of a CHECK has no parameters."""
            constraint: SqlConstraint = super().build_constraint(constraint_obj)
            if isinstance(constraint, CheckConstraint) and isinstance(
                constraint_obj, datamodel.CheckConstraint
            ):
                constraint.sqltext = _literal(constraint_obj.expression)
            return constraint

        def build_index(self, index_obj: datamodel.Index) -> Index:
            """Build an index; expressions are SQL."""
            if not index_obj.expressions:
                index: Index = super().build_index(index_obj)
                return index
            texts = (_literal(f"({expression})") for expression in index_obj.expressions)
            return Index(index_obj.name, *texts)

    return Builder(schema).build()


def _literal(sql: str) -> TextClause:
    return text(_COLON.sub(r"\:", sql))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSchema(ReadSchema):
    """A schema that Felis has accepted."""

    felis: datamodel.Schema[Any]
    """The schema as Felis has it, with the file's own, possibly repeated, constraint names."""

    def metadata(self) -> MetaData:
        """Return new metadata, with the tables in this schema."""
        return build_metadata(self.felis)


def prepare_felis() -> None:
    """Import Felis (half a second) before worker processes are forked."""
    import felis.metadata  # noqa: F401


def validate(read: ReadSchema) -> LoadedSchema:
    """Validate a schema with Felis."""
    from felis import datamodel
    from pydantic import ValidationError

    try:
        accepted: datamodel.Schema[Any] = datamodel.Schema.model_validate(_felis_data(read.schema))
    except ValidationError as error:
        problems = [_problem(read, item) for item in error.errors(include_url=False, include_input=False)]
        raise FileError(read.source, problems) from error
    for table, own in zip(accepted.tables, read.schema.tables, strict=True):
        for constraint, original in zip(table.constraints, own.constraints, strict=True):
            constraint.name = original.name
    return LoadedSchema(read.schema, read.source, read.notes, read.lines, felis=accepted)


def _felis_data(schema: Schema) -> dict[str, Any]:
    """Write a schema in today's shape, with unique ids and constraint names."""
    return {
        "name": schema.name,
        "@id": f"#{schema.name}",
        "description": schema.description or None,
        "version": schema.version,
        "tables": [_table(schema, table) for table in schema],
    }


def _table(schema: Schema, table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "@id": _id(table.name),
        "description": table.description or None,
        "primaryKey": [_id(table.name, name) for name in table.primary_key] or None,
        "columns": [_column(table, column) for column in table.columns],
        "constraints": [_constraint(table, constraint) for constraint in table.constraints],
        "indexes": [
            {
                "name": index.name,
                "@id": _id(table.name, index.name, "index"),
                "description": index.description or None,
                **({"expressions": list(index.expressions)} if index.expressions else {}),
                **({"columns": [_id(table.name, name) for name in index.columns]} if index.columns else {}),
            }
            for index in table.indexes
        ],
        **dict(table.metadata),
    }


def _column(table: Table, column: Column) -> dict[str, Any]:
    data = {
        "name": column.name,
        "@id": _id(table.name, column.name),
        "datatype": column.datatype,
        "length": column.length,
        "precision": column.precision,
        "nullable": column.nullable,
        "autoincrement": column.autoincrement,
        "value": column.default,
        "description": column.description or None,
        "ivoa:unit": column.unit or None,
        "ivoa:ucd": column.ucd or None,
        **{f"{dialect}:datatype": kind for dialect, kind in column.type_overrides},
        # Felis would also make a MySQL type of it, and fail on an unknown one.
        **{key: text for key, text in column.metadata if key != "mysql:datatype"},
    }
    return {key: value for key, value in data.items() if value is not None}


def _constraint(table: Table, constraint: Constraint) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": f"{table.name}.{constraint.name}",
        "@id": _id(table.name, constraint.name, "constraint"),
        "description": constraint.description or None,
        "deferrable": constraint.deferrable,
        "initially": constraint.initially or None,
    }
    columns = [_id(table.name, name) for name in constraint.columns]
    if constraint.kind == "check":
        return {**data, "@type": "Check", "expression": constraint.expression}
    if constraint.kind == "unique":
        return {**data, "@type": "Unique", "columns": columns}
    return {
        **data,
        "@type": "ForeignKey",
        "columns": columns,
        "referencedColumns": [
            _id(constraint.referenced_table, name) for name in constraint.referenced_columns
        ],
        "on_delete": constraint.on_delete or None,
        "on_update": constraint.on_update or None,
    }


def _id(*parts: str) -> str:
    return "#" + "\x1f".join(parts) if len(parts) != 2 or "." in "".join(parts) else "#" + ".".join(parts)


def _problem(read: ReadSchema, item: Any) -> Problem:
    location = item["loc"]
    said = str(item["msg"]).removeprefix("Value error, ").rstrip(".")
    if len(location) < 2 or location[0] != "tables" or not isinstance(location[1], int):
        return Problem(0, 0, f"Felis says: {said}", "See Felis's documentation.")
    table = read.schema.tables[location[1]]
    where, line = f'table "{table.name}"', read.lines.get(("table", table.name), 0)
    if len(location) > 3 and location[2] == "columns" and isinstance(location[3], int):
        column = table.columns[location[3]]
        where = f'column "{table.name}.{column.name}"'
        line = read.lines.get(("column", table.name, column.name), 0)
        if said.startswith("Invalid unit"):
            cause = f"{where} has the unit {shorten(column.unit)}, which astropy does not know"
            remedy = "Write it as the IVOA does (s, deg, arcsec, pixel); omit it if there is none."
            return Problem(line, 0, cause, remedy)
        if said.startswith("Invalid IVOA UCD"):
            reason = said.removeprefix("Invalid IVOA UCD: ")
            cause = f"{where} has the UCD {shorten(column.ucd)}, which is not valid: {reason}"
            return Problem(line, 0, cause, "Take words from the IVOA's list of UCDs (UCD1+).")
    return Problem(line, 0, f"{where}: Felis says: {said}", "See Felis's documentation.")
