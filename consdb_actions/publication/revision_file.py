"""Parse an untrusted revision file with an allow-list (rules S2 and S3).

Generated files are plain ``op`` calls with literal arguments. The file is only parsed, never imported or run.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["RevisionFile", "UnfitError", "read_revision"]

OPERATIONS = frozenset(
    {
        "add_column",
        "alter_column",
        "create_check_constraint",
        "create_exclude_constraint",
        "create_foreign_key",
        "create_index",
        "create_primary_key",
        "create_table",
        "create_table_comment",
        "create_unique_constraint",
        "drop_column",
        "drop_constraint",
        "drop_index",
        "drop_table",
        "drop_table_comment",
        "execute",
        "rename_table",
    }
)
"""Alembic operations that are fully described by their arguments."""

CONSTRUCTS = frozenset(
    {
        "BigInteger",
        "Boolean",
        "CheckConstraint",
        "Column",
        "Computed",
        "Date",
        "DateTime",
        "Double",
        "Float",
        "ForeignKeyConstraint",
        "Identity",
        "Integer",
        "Interval",
        "LargeBinary",
        "Numeric",
        "PrimaryKeyConstraint",
        "SmallInteger",
        "String",
        "Text",
        "Time",
        "UniqueConstraint",
        "text",
    }
)
"""SQLAlchemy names allowed in arguments, besides types in capitals."""

_IMPORTS = {
    "typing": {"Sequence", "Union"},
    "collections.abc": {"Sequence"},
    "alembic": {"op"},
    "sqlalchemy.dialects": {"mysql", "oracle", "postgresql", "sqlite"},
    "lsst.consdb.cdb_pgsphere": {"SPoly"},
}
_MODULES = frozenset({"sa", "mysql", "oracle", "postgresql", "sqlite"})
_NAMES = ("revision", "down_revision", "branch_labels", "depends_on")
_SCHEMAS = frozenset({"schema", "source_schema", "referent_schema"})
_ANNOTATIONS = frozenset({"str", "None", "Union", "Sequence"})
_ID = re.compile(r"[0-9a-f]{12}", re.ASCII)
_TYPE = re.compile(r"[A-Z][A-Z0-9_]*", re.ASCII)


class UnfitError(ValueError):
    """An invalid revision file; `line` is 0 for the whole file."""

    def __init__(self, line: int, cause: str) -> None:
        super().__init__(cause)
        self.line = line
        self.cause = cause


@dataclass(frozen=True, slots=True)
class RevisionFile:
    """The revision ids in a revision file."""

    revision: str
    down_revision: str | None


def read_revision(text: str, schema: str, others: tuple[str, ...] = ()) -> RevisionFile:
    """Parse a revision file of one schema, or raise `UnfitError`."""
    _check_text(text, others)
    statements = list(_parse(text).body)
    if statements and _is_text(statements[0]):
        del statements[0]
    found: dict[str, str | None] = {}
    functions: set[str] = set()
    for statement in statements:
        match statement:
            case ast.ImportFrom() | ast.Import():
                _check_import(statement)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                _note(found, name, value, statement.lineno)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
                _check_annotation(annotation)
                _note(found, name, value, statement.lineno)
            case ast.FunctionDef(name="upgrade" | "downgrade" as name) if name not in functions:
                functions.add(name)
                _check_function(statement, schema)
            case _:
                raise UnfitError(statement.lineno, "this is neither an operation nor a part of a revision")
    if functions != {"upgrade", "downgrade"}:
        raise UnfitError(0, "it does not have the two functions upgrade() and downgrade()")
    revision, down = found.get("revision"), found.get("down_revision")
    if revision is None or not _ID.fullmatch(revision):
        raise UnfitError(0, "its revision is no id of 12 hexadecimal digits")
    if down is not None and not re.fullmatch(r"\w{1,64}", down, re.ASCII):
        raise UnfitError(0, "its down_revision is no id")
    if found.get("branch_labels") is not None or found.get("depends_on") is not None:
        raise UnfitError(0, "it has branch labels or depends on a revision of another section")
    return RevisionFile(revision, down)


def _check_text(text: str, others: tuple[str, ...]) -> None:
    for number, line in enumerate(text.split("\n"), start=1):
        if other := next((o for o in others if re.search(rf"\b{re.escape(o)}\b", line)), None):
            raise UnfitError(number, f"it names another schema than its section's: {other}")


def _parse(text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        raise UnfitError(error.lineno or 0, "this is not Python") from None
    except (ValueError, RecursionError, MemoryError):
        raise UnfitError(0, "it cannot be read as Python") from None


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _check_import(statement: ast.Import | ast.ImportFrom) -> None:
    for alias in statement.names:
        if isinstance(statement, ast.Import):
            known = (alias.name, alias.asname) == ("sqlalchemy", "sa")
        else:
            known = alias.name in _IMPORTS.get(statement.module or "", ()) and not alias.asname
        if not known or (isinstance(statement, ast.ImportFrom) and statement.level):
            raise UnfitError(
                statement.lineno, f"it imports what no generated revision needs: {alias.name[:60]}"
            )


def _note(found: dict[str, str | None], name: str, value: ast.expr, line: int) -> None:
    if name not in _NAMES or name in found:
        raise UnfitError(line, "it sets a name that is none of a revision's, or sets it twice")
    if not isinstance(value, ast.Constant) or not isinstance(value.value, str | None):
        raise UnfitError(line, f"{name} is no text")
    found[name] = value.value


def _check_annotation(annotation: ast.expr) -> None:
    for node in ast.walk(annotation):
        match node:
            case ast.Name(id=name) if name in _ANNOTATIONS:
                pass
            case ast.Constant(value=None) | ast.Load() | ast.Subscript() | ast.Tuple():
                pass
            case ast.BinOp(op=ast.BitOr()) | ast.BitOr():
                pass
            case _:
                raise UnfitError(annotation.lineno, "this annotation is none of a revision's")


def _check_function(function: ast.FunctionDef, schema: str) -> None:
    arguments = function.args
    given = (
        *arguments.args,
        *arguments.posonlyargs,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    )
    if function.decorator_list or any(given) or getattr(function, "type_params", None):
        raise UnfitError(function.lineno, f"{function.name}() has arguments or a decorator")
    if function.returns is not None:
        _check_annotation(function.returns)
    for statement in function.body:
        match statement:
            case ast.Pass():
                pass
            case _ if _is_text(statement):
                pass
            case ast.Expr(value=ast.Call(func=ast.Attribute(ast.Name("op"), name)) as call) if (
                name in OPERATIONS
            ):
                _check_operation(name, call, schema)
            case _:
                raise UnfitError(statement.lineno, "this is no operation that a generated revision has")


def _check_operation(name: str, call: ast.Call, schema: str) -> None:
    for argument in _arguments(call):
        _check_value(argument)
    told = [keyword.value for keyword in call.keywords if keyword.arg in _SCHEMAS]
    inner = [
        keyword.value
        for node in ast.walk(call)
        if isinstance(node, ast.Call) and node is not call
        for keyword in node.keywords
        if keyword.arg in _SCHEMAS
    ]
    for value in (*told, *inner):
        if not isinstance(value, ast.Constant) or value.value != schema:
            raise UnfitError(call.lineno, f"it changes another schema than {schema}")
    if name == "execute":
        if len(call.args) != 1 or call.keywords:
            raise UnfitError(call.lineno, "op.execute() takes one statement and nothing else")
    elif not told:
        raise UnfitError(call.lineno, f"op.{name}() does not say which schema it changes")


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    for keyword in call.keywords:
        if keyword.arg is None:
            raise UnfitError(call.lineno, "arguments are unpacked here, which hides what they are")
        yield keyword.value
    yield from call.args


def _check_value(value: ast.expr) -> None:
    """Allow literals and calls that describe a column, a constraint or a type."""
    match value:
        case ast.Constant(value=bool() | int() | float() | str() | None):
            return
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
            return
        # A long column list is written as an unpacked list.
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Starred(value=ast.List(elts=items)):
            inner: list[ast.expr] = items
        case ast.Dict(keys=keys, values=values) if all(keys):
            inner = [*(key for key in keys if key is not None), *values]
        case ast.Call() if _is_description(value.func):
            inner = list(_arguments(value))
            if isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Call):
                inner.append(value.func.value)
        case _:
            raise UnfitError(value.lineno, "an argument is neither a literal nor the description of a column")
    for item in inner:
        _check_value(item)


def _is_description(function: ast.expr) -> bool:
    match function:
        case ast.Name(id="SPoly") | ast.Attribute(ast.Name("op"), "f"):
            return True
        case ast.Attribute(ast.Name("sa"), name) if name in CONSTRUCTS:
            return True
        case ast.Attribute(ast.Name(module), name):
            return module in _MODULES and _TYPE.fullmatch(name) is not None
        case ast.Attribute(ast.Call(), "with_variant"):
            return True
    return False
