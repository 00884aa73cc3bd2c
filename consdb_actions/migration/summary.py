"""Summarize what a revision does."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pglast
import sqlalchemy as sa
from alembic.operations import ops
from pglast.stream import RawStream
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine, UserDefinedType

from consdb_actions.migration.rewrite.statements import describe

_MANY = {
    "add column": "add {count} columns to {table}",
    "drop column": "drop {count} columns of {table}",
    "rename column": "rename {count} columns of {table}",
    "change type": "change the type of {count} columns of {table}",
    "nullable": "make {count} columns of {table} nullable",
    "not null": "make {count} columns of {table} not null",
    "set default": "set the default of {count} columns of {table}",
    "drop default": "drop the default of {count} columns of {table}",
    "describe column": "change comments on {count} columns of {table}",
    "add constraint": "add {count} constraints to {table}",
    "drop constraint": "drop {count} constraints of {table}",
    "rename constraint": "rename {count} constraints of {table}",
    "validate constraint": "validate {count} constraints of {table}",
    "create index": "create {count} indexes on {table}",
    "drop index": "drop {count} indexes",
    "rename index": "rename {count} indexes",
    "describe table": "change comments on {count} tables",
    "rename table": "rename {count} tables",
    "create view": "create {count} views",
    "drop view": "drop {count} views",
    "recreate view": "recreate {count} views",
    "write": "write rows of {count} tables",
    "remove": "remove rows of {count} tables",
}

"""Kinds that share a sentence, and its form."""

_WHOLE = {"drop column", "rename column", "rename table", "drop view", "remove"}

"""Kinds that are listed in full, since they affect readers of the database."""

_MOST = 30

UNSEEN = {
    *("add constraint", "drop constraint", "rename constraint", "validate constraint"),
    *("create index", "drop index", "rename index", "sequence"),
    *("nullable", "not null", "set default", "drop default"),
    *("describe column", "describe table", "grant", "revoke"),
}

"""Kinds that do not affect readers of the database."""


@dataclass(frozen=True, slots=True)
class ScriptAction:
    """One action of a revision."""

    kind: str  # Actions of one kind on one table share a sentence
    table: str  # Empty where each action of a sentence has another table
    item: str
    text: str


def sentences(actions: Iterable[ScriptAction]) -> tuple[str, ...]:
    """Return sentences in order, without repetition, with one for each kind."""
    groups: dict[tuple[str, str], list[ScriptAction]] = {}
    for action in dict.fromkeys(actions):
        key = (action.kind, action.table) if action.kind in _MANY else (action.text, "")
        groups.setdefault(key, []).append(action)
    return tuple(_sentence(group) for group in groups.values())


def _sentence(group: list[ScriptAction]) -> str:
    first = group[0]
    if len(group) == 1:
        return first.text
    items = [action.item for action in group]
    if len(items) > _MOST and first.kind not in _WHOLE:
        items = [*items[:_MOST], f"and {len(group) - _MOST} more"]
    return f"{_MANY[first.kind].format(count=len(group), table=first.table)}: {', '.join(items)}"


_TEXTS = {"sa.text", "sqlalchemy.text", "text", "op.f"}

_LONGEST = 1_000_000  # Maximum characters of a joined text; lists have at most a hundredth as many items

_LENGTHS = {"length", "precision", "scale", "timezone"}


class UnknownValueError(Exception):
    """An expression without a known value."""


class _NamedType(UserDefinedType[Any]):
    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: object) -> str:
        return self.name


def arguments(call: ast.Call, names: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the values of a call's arguments; see `value`."""
    if any(keyword.arg is None for keyword in call.keywords):
        raise UnknownValueError
    return _each(call.args, names), {str(k.arg): value(k.value, names) for k in call.keywords}


def value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression."""
    match node:
        case ast.Constant():
            return node.value
        case ast.Name() if node.id in names:
            return names[node.id]
        case ast.List() | ast.Tuple():
            return [_plain(item) for item in _each(node.elts, names)]
        case ast.Dict():
            return {
                str(_plain(value(key, names))): _plain(value(item, names))
                for key, item in zip(node.keys, node.values, strict=True)
                if key is not None
            }
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.BinOp(op=ast.Add()):
            left, right = value(node.left, names), value(node.right, names)
            if isinstance(left, str) and isinstance(right, str):
                return _joined([left, right])
        case ast.Subscript():
            whole, key = value(node.value, names), _plain(value(node.slice, names))
            if isinstance(whole, dict) and str(key) in whole:
                return whole[str(key)]
        case ast.JoinedStr():
            return _joined([_formatted(part, names) for part in node.values])
        case ast.Call():
            return _called(node, names)
    raise UnknownValueError


def _each(nodes: Iterable[ast.expr], names: Mapping[str, Any]) -> list[Any]:
    """Return the values of expressions; starred ones are lists."""
    out: list[Any] = []
    for node in nodes:
        if isinstance(node, ast.Starred):
            many = value(node.value, names)
            if not isinstance(many, list):
                raise UnknownValueError
            out += many
        else:
            out.append(value(node, names))
        if len(out) > _LONGEST // 100:
            raise UnknownValueError
    return out


def _plain(item: Any) -> Any:
    """Return a value that contains no others, so that nothing can grow."""
    if isinstance(item, list | dict):
        raise UnknownValueError
    return item


def _joined(parts: list[str]) -> str:
    if sum(map(len, parts)) > _LONGEST:
        raise UnknownValueError
    return "".join(parts)


def _formatted(part: ast.expr, names: Mapping[str, Any]) -> str:
    if isinstance(part, ast.FormattedValue):
        if part.conversion != -1 or part.format_spec is not None:
            raise UnknownValueError
        part = part.value
    return str(_plain(value(part, names)))


def _called(call: ast.Call, names: Mapping[str, Any]) -> Any:
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    if last == "with_variant" and isinstance(call.func, ast.Attribute):
        return value(call.func.value, names)
    if name in _TEXTS and call.args:
        return value(call.args[0], names)
    if last == "Column":
        return _column(call, names)
    if last.endswith(("Constraint", "ForeignKey", "Identity", "Computed", "Sequence")):
        return None
    kind = getattr(sa, last, None) or getattr(postgresql, last, None)
    if isinstance(kind, type) and issubclass(kind, TypeEngine):
        return _type(kind, call, names)
    if isinstance(call.func, ast.Attribute | ast.Name) and not call.keywords and not call.args:
        return _NamedType(last.lower())
    raise UnknownValueError


def _column(call: ast.Call, names: Mapping[str, Any]) -> sa.Column[Any]:
    if len(call.args) < 2:
        raise UnknownValueError
    name, type_ = value(call.args[0], names), value(call.args[1], names)
    if not isinstance(name, str) or not isinstance(type_, TypeEngine):
        raise UnknownValueError
    given = {item.arg: item.value for item in call.keywords}
    primary = "primary_key" in given and bool(value(given["primary_key"], names))
    nullable = bool(value(given["nullable"], names)) if "nullable" in given else not primary
    return sa.Column(name, type_, nullable=nullable)


def _type(kind: type[TypeEngine[Any]], call: ast.Call, names: Mapping[str, Any]) -> TypeEngine[Any]:
    positional = [value(item, names) for item in call.args]
    given = {k.arg: value(k.value, names) for k in call.keywords if k.arg in _LENGTHS}
    try:
        return kind(*positional, **given)
    except Exception:  # The class needs more than lengths: use its name only.
        return _NamedType(kind.__name__.lower())


class _Recorder:
    def __init__(self) -> None:
        self.op: Any = None

    def invoke(self, op: ops.MigrateOperation) -> None:
        self.op = op


CALLS: dict[str, Callable[..., Any]] = {
    "add_column": ops.AddColumnOp.add_column,
    "drop_column": ops.DropColumnOp.drop_column,
    "alter_column": ops.AlterColumnOp.alter_column,
    "create_table": ops.CreateTableOp.create_table,
    "drop_table": ops.DropTableOp.drop_table,
    "rename_table": ops.RenameTableOp.rename_table,
    "create_table_comment": ops.CreateTableCommentOp.create_table_comment,
    "drop_table_comment": ops.DropTableCommentOp.drop_table_comment,
    "create_primary_key": ops.CreatePrimaryKeyOp.create_primary_key,
    "create_unique_constraint": ops.CreateUniqueConstraintOp.create_unique_constraint,
    "create_foreign_key": ops.CreateForeignKeyOp.create_foreign_key,
    "create_check_constraint": ops.CreateCheckConstraintOp.create_check_constraint,
    "drop_constraint": ops.DropConstraintOp.drop_constraint,
    "create_index": ops.CreateIndexOp.create_index,
    "drop_index": ops.DropIndexOp.drop_index,
}

"""The supported functions of ``op``, parsed by Alembic's own."""


def actions_of_call(name: str, positional: list[Any], named: dict[str, Any]) -> tuple[ScriptAction, ...]:
    """Return the actions of a function in `CALLS`."""
    recorder = _Recorder()
    if name == "create_table":
        positional = [positional[0], *(item for item in positional[1:] if isinstance(item, sa.Column))]
    if name == "create_check_constraint":  # Its condition is not used here, and might not be a text.
        positional, named = positional[:2], {**named, "condition": "true"}
    if name == "create_index":
        named = {key: item for key, item in named.items() if key in ("unique", "schema")}
    CALLS[name](recorder, *positional, **named)
    return tuple(_actions_of_operation(recorder.op))


def _actions_of_operation(op: Any) -> Iterator[ScriptAction]:
    table = str(getattr(op, "table_name", None) or getattr(op, "source_table", None) or "")
    match op:
        case ops.AddColumnOp():
            yield ScriptAction("add column", table, op.column.name, describe(op))
        case ops.DropColumnOp():
            yield ScriptAction("drop column", table, op.column_name, describe(op))
        case ops.AlterColumnOp():
            yield from _changes(op, table)
        case ops.RenameTableOp():
            item = f"{table} to {op.new_table_name}"
            yield ScriptAction("rename table", "", item, f"rename table {item}")
        case ops.CreateTableCommentOp() | ops.DropTableCommentOp():
            yield ScriptAction("describe table", "", table, describe(op))
        case ops.DropConstraintOp():
            name = str(op.constraint_name)
            text = describe(op) if op.constraint_type else f"drop constraint {name} of {table}"
            yield ScriptAction("drop constraint", table, name, text)
        case ops.AddConstraintOp():
            yield ScriptAction("add constraint", table, str(getattr(op, "constraint_name", "")), describe(op))
        case ops.CreateIndexOp():
            yield ScriptAction("create index", table, str(op.index_name), describe(op))
        case ops.DropIndexOp():
            yield ScriptAction("drop index", "", str(op.index_name), describe(op))
        case ops.CreateTableOp():
            yield ScriptAction("create table", table, table, describe(op))
        case _:
            yield ScriptAction("drop table", table, table, describe(op))


def _changes(op: ops.AlterColumnOp, table: str) -> Iterator[ScriptAction]:
    column = op.column_name
    if op.modify_name:
        item = f"{column} to {op.modify_name}"
        yield ScriptAction("rename column", table, item, f"rename column {table}.{item}")
    if op.modify_type is not None:
        alone = ops.AlterColumnOp(
            table, column, modify_type=op.modify_type, existing_type=op.existing_type or op.modify_type
        )
        text = describe(alone)
        span = text.partition(f"{table}.{column} ")[2]
        if op.existing_type is None:
            span = f"to {span.rpartition(' to ')[2]}"
        yield ScriptAction(
            "change type", table, f"{column} {span}", f"change type of {table}.{column} {span}"
        )
    if op.modify_nullable is not None:
        alone = ops.AlterColumnOp(table, column, modify_nullable=op.modify_nullable)
        yield ScriptAction("nullable" if op.modify_nullable else "not null", table, column, describe(alone))
    if op.modify_server_default is not False:
        alone = ops.AlterColumnOp(table, column, modify_server_default=op.modify_server_default)
        kind = "drop default" if op.modify_server_default is None else "set default"
        yield ScriptAction(kind, table, column, describe(alone))
    if op.modify_comment is not False:
        alone = ops.AlterColumnOp(table, column, modify_comment=op.modify_comment)
        yield ScriptAction("describe column", table, column, describe(alone))


Node = Any  # A node of the parser's tree; pglast has no type hints

_KEYS = {
    "CONSTR_PRIMARY": "primary key",
    "CONSTR_UNIQUE": "unique",
    "CONSTR_FOREIGN": "foreign key",
    "CONSTR_CHECK": "check",
    "CONSTR_EXCLUSION": "exclusion",
    "CONSTR_NOTNULL": "not null",
}

_COLUMN = {
    "AT_SetNotNull": ("not null", "make {} not null"),
    "AT_DropNotNull": ("nullable", "make {} nullable"),
    "AT_AddIdentity": ("set default", "set default of {}"),
    "AT_DropIdentity": ("drop default", "drop default of {}"),
    "AT_DropColumn": ("drop column", "drop column {}"),
}

_CONSTRAINT = {"AT_DropConstraint": "drop", "AT_ValidateConstraint": "validate"}

_DROPPED = {"OBJECT_TABLE": "table", "OBJECT_VIEW": "view", "OBJECT_INDEX": "index"}

_ALL = "DELETE, INSERT, REFERENCES, SELECT, TRIGGER, TRUNCATE, UPDATE"

_QUIET = {"VariableSetStmt", "TransactionStmt", "LockStmt"}


def actions_of_sql(sql: str, line: int) -> tuple[ScriptAction, ...]:
    """Return the actions of SQL text."""
    other = f"run other SQL (line {line})"
    unknown = ScriptAction("other", "", other, other)
    try:
        statements = pglast.parse_sql(sql) if "\0" not in sql else ()
        out: list[ScriptAction] = []
        for raw in statements or (None,):
            kind = _kind(raw.stmt) if raw is not None else ""
            reader = _READERS.get(kind)
            found = list(reader(raw.stmt)) if reader and raw is not None else []
            out.extend(found or ([] if kind in _QUIET or _is_temporary(raw) else [unknown]))
    except (pglast.Error, UnicodeEncodeError):
        return (unknown,) if sql.strip() or "\0" in sql else ()
    return tuple(out) if sql.strip() else ()


def _kind(node: Node) -> str:
    return type(node).__name__


def _is_temporary(raw: Node) -> bool:
    relation = getattr(getattr(raw, "stmt", None), "relation", None)
    return getattr(relation, "relpersistence", "") == "t"


def _strings(values: Iterable[Node] | None) -> list[str]:
    return [value.sval for value in values or () if _kind(value) == "String"]


def _other(text: str) -> ScriptAction:
    return ScriptAction("other", "", text, text)


def _of(kind: str, table: str, item: str, pattern: str) -> ScriptAction:
    return ScriptAction(kind, table, item, pattern.format(f"{table}.{item}"))


def _create_table(node: Node) -> Iterator[ScriptAction]:
    relation = node.relation if _kind(node) == "CreateStmt" else node.into.rel
    if relation.relpersistence == "t":
        return
    count = sum(_kind(part) == "ColumnDef" for part in getattr(node, "tableElts", None) or ())
    size = f" with {count} column{'s' if count != 1 else ''}" if count else ""
    yield ScriptAction(
        "create table", relation.relname, relation.relname, f"create table {relation.relname}{size}"
    )


def _alter_table(node: Node) -> Iterator[ScriptAction]:
    table = node.relation.relname
    for command in node.cmds:
        what, name = command.subtype.name, command.name or ""
        if what in _COLUMN:
            kind, pattern = _COLUMN[what]
            yield _of(kind, table, name, pattern)
        elif what == "AT_AddColumn":
            column = command.def_
            kinds = {c.contype.name for c in column.constraints or ()}
            null = " not null" if kinds & {"CONSTR_NOTNULL", "CONSTR_PRIMARY"} else ""
            text = f"add column {table}.{column.colname} ({_type_text(column.typeName)}{null})"
            yield ScriptAction("add column", table, column.colname, text)
        elif what == "AT_AlterColumnType":
            item = f"{name} to {_type_text(command.def_.typeName)}"
            yield _of("change type", table, item, "change type of {}")
        elif what == "AT_ColumnDefault":
            verb = "set" if command.def_ else "drop"
            yield _of(f"{verb} default", table, name, f"{verb} default of {{}}")
        elif what == "AT_AddConstraint":
            kind, name = _KEYS.get(command.def_.contype.name, "constraint"), command.def_.conname or ""
            text = f"add {kind} {name} to {table}".replace("  ", " ")
            yield ScriptAction("add constraint", table, name or kind, text)
        elif what in _CONSTRAINT:
            verb = _CONSTRAINT[what]
            yield ScriptAction(f"{verb} constraint", table, name, f"{verb} constraint {name} of {table}")
        else:
            yield _other(f"alter table {table} ({what.removeprefix('AT_')})")


def _type_text(node: Node) -> str:
    return str(RawStream()(node))


def _create_index(node: Node) -> Iterator[ScriptAction]:
    table, name = node.relation.relname, node.idxname or ""
    yield ScriptAction("create index", table, name, f"create index {name} on {table}")


def _create_view(node: Node) -> Iterator[ScriptAction]:
    name = node.view.relname
    yield ScriptAction("create view", "", name, f"create view {name}")


def _drop(node: Node) -> Iterator[ScriptAction]:
    what = node.removeType.name
    for item in node.objects or ():
        if what == "OBJECT_SCHEMA":
            yield _other(f"drop schema {item.sval}")
            continue
        name = _strings(item)[-1] if isinstance(item, tuple) and _strings(item) else ""
        if what in _DROPPED and name:
            kind = _DROPPED[what]
            yield ScriptAction(f"drop {kind}", "" if kind != "table" else name, name, f"drop {kind} {name}")
        elif what == "OBJECT_SEQUENCE":
            yield ScriptAction("sequence", "", name, f"drop sequence {name}")
        elif what == "OBJECT_MATVIEW":
            yield _other(f"drop materialized view {name}")


def _rename(node: Node) -> Iterator[ScriptAction]:
    if node.relation is None:
        return
    table, what = node.relation.relname, node.renameType.name
    item = f"{node.subname} to {node.newname}"
    if what == "OBJECT_COLUMN":
        yield _of("rename column", table, item, "rename column {}")
    elif what == "OBJECT_TABCONSTRAINT":
        yield ScriptAction("rename constraint", table, item, f"rename constraint {item} of {table}")
    else:
        kind = "index" if what == "OBJECT_INDEX" else "table"
        item = f"{table} to {node.newname}"
        yield ScriptAction(f"rename {kind}", "", item, f"rename {'index ' if kind == 'index' else ''}{item}")


def _grant(node: Node) -> Iterator[ScriptAction]:
    verb, preposition = ("grant", "to") if node.is_grant else ("revoke", "from")
    if node.targtype.name == "ACL_TARGET_ALL_IN_SCHEMA":
        things = [f"all of {schema}" for schema in _strings(node.objects)]
    else:
        things = [o.relname for o in node.objects or () if _kind(o) == "RangeVar"]
    named = sorted((p.priv_name or "all").upper() for p in node.privileges or ())
    roles = ", ".join(
        role.rolename if role.roletype.name == "ROLESPEC_CSTRING" else role.roletype.name[9:]
        for role in node.grantees or ()
    )
    for thing in things:
        text = f"{verb} {', '.join(named) or _ALL} on {thing} {preposition} {roles}"
        yield ScriptAction(verb, thing, text, text)


def _comment(node: Node) -> Iterator[ScriptAction]:
    what = node.objtype.name
    names = _strings(node.object) if isinstance(node.object, tuple) else []
    if what == "OBJECT_COLUMN" and len(names) > 1:
        yield _of("describe column", names[-2], names[-1], "change comment on {}")
    elif what in ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW") and names:
        yield ScriptAction("describe table", "", names[-1], f"change comment on table {names[-1]}")


def _write(node: Node) -> Iterator[ScriptAction]:
    name = node.relation.relname
    yield ScriptAction("write", "", name, f"write rows of {name}")


def _remove(node: Node) -> Iterator[ScriptAction]:
    for relation in node.relations if _kind(node) == "TruncateStmt" else (node.relation,):
        yield ScriptAction("remove", "", relation.relname, f"remove rows of {relation.relname}")


def _publish(node: Node) -> Iterator[ScriptAction]:
    if getattr(getattr(node, "action", None), "name", "") == "AP_DropObjects":
        return
    names = [o.pubtable.relation.relname if o.pubtable else f"all of {o.name}" for o in node.pubobjects or ()]
    yield _other(f"add {', '.join(names) or 'all tables'} to a publication")


def _move(node: Node) -> Iterator[ScriptAction]:
    if node.relation is not None:
        yield _other(f"move {node.relation.relname} to schema {node.newschema}")


def _sequence(node: Node) -> Iterator[ScriptAction]:
    name = node.sequence.relname
    yield ScriptAction("sequence", "", name, f"create sequence {name}")


_READERS = {
    "CreateStmt": _create_table,
    "CreateTableAsStmt": _create_table,
    "AlterTableStmt": _alter_table,
    "IndexStmt": _create_index,
    "ViewStmt": _create_view,
    "DropStmt": _drop,
    "RenameStmt": _rename,
    "GrantStmt": _grant,
    "CommentStmt": _comment,
    "InsertStmt": _write,
    "UpdateStmt": _write,
    "DeleteStmt": _remove,
    "TruncateStmt": _remove,
    "CreatePublicationStmt": _publish,
    "AlterPublicationStmt": _publish,
    "AlterObjectSchemaStmt": _move,
    "CreateSeqStmt": _sequence,
}

LIMIT = 2_000_000  # Maximum characters of a file; the longest real one has about 300,000

LOOP = 100  # Maximum number of items of a loop


@dataclass(frozen=True, slots=True)
class RevisionSummary:
    """A revision."""

    id: str  # Empty where the file has none
    title: str  # The first line of its message
    operations: tuple[str, ...]  # Its upgrade's actions on tables, columns, views and rows
    others: tuple[str, ...] = ()  # Its actions on keys, defaults, grants and comments
    down: tuple[str, ...] = ()  # The revisions that it follows


def read_revision(text: str) -> RevisionSummary:
    """Read a revision's file without running it."""
    try:
        if len(text) > LIMIT:
            raise ValueError
        tree = ast.parse(text)
        names = dict(_assigned(tree.body))
        upgrade = next(
            (item for item in tree.body if isinstance(item, ast.FunctionDef) and item.name == "upgrade"), None
        )
        actions = tuple(_actions_of_statements(upgrade.body, names)) if upgrade is not None else ()
        message = (ast.get_docstring(tree) or "").partition("\n")[0].strip()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return RevisionSummary("", "", ("its actions cannot be read from the file",))
    down = names.get("down_revision") or ()
    told = tuple(_without_echoes(actions))
    return RevisionSummary(
        str(names.get("revision") or ""),
        message,
        sentences(action for action in told if action.kind not in UNSEEN),
        sentences(action for action in told if action.kind in UNSEEN),
        tuple(map(str, down)) if isinstance(down, list | tuple) else (str(down),),
    )


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, Any]]:
    known: dict[str, Any] = {}
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=node):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as node):
                pass
            case _:
                continue
        try:
            known[name] = value(node, known)
        except UnknownValueError:
            known.pop(name, None)
    yield from known.items()


def _actions_of_statements(
    body: list[ast.stmt], names: dict[str, Any], *, looping: bool = False
) -> Iterator[ScriptAction]:
    """Yield actions of statements, also in conditions and loops, but not in nested loops."""
    names = {**names, **dict(_assigned(body))}
    for statement in body:
        match statement:
            case ast.Pass() | ast.Assign() | ast.AnnAssign() | ast.Return() | ast.Import() | ast.ImportFrom():
                continue
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="op"), attr=name)) as call):
                yield from _actions_of_call(name, call, names)
            case ast.With():
                yield from _actions_of_statements(statement.body, names, looping=looping)
            case ast.For(target=ast.Name(id=name)) if not looping and (items := _items(statement, names)):
                for item in items:
                    yield from _actions_of_statements(statement.body, {**names, name: item}, looping=True)
            case ast.For() | ast.If() | ast.While() | ast.Try():
                yield _own_code(statement)
                inner = [
                    item for part in ("body", "orelse", "finalbody") for item in getattr(statement, part, [])
                ]
                yield from _actions_of_statements(inner, names, looping=looping)
            case _:
                yield _own_code(statement)


def _items(loop: ast.For, names: dict[str, Any]) -> list[Any]:
    try:
        items = value(loop.iter, names)
    except UnknownValueError:
        return []
    items = list(items) if isinstance(items, list | dict) and not loop.orelse else []
    return items if len(items) <= LOOP else []


def _own_code(statement: ast.stmt) -> ScriptAction:
    text = f"run Python code of its own (line {statement.lineno})"
    return ScriptAction("other", "", text, text)


def _actions_of_call(name: str, call: ast.Call, names: dict[str, Any]) -> tuple[ScriptAction, ...]:
    # Unknown or invalid arguments: Alembic reports these when the script runs.
    with contextlib.suppress(Exception):
        positional, named = arguments(call, names)
        if name == "execute" and positional and isinstance(positional[0], str):
            return actions_of_sql(positional[0], call.lineno)
        if name in CALLS:
            return actions_of_call(name, positional, named)
    what = "SQL that the script puts together" if name == "execute" else f"op.{name}"
    text = f"run {what} (line {call.lineno})"
    return (ScriptAction("other", "", text, text),)


def _without_echoes(actions: tuple[ScriptAction, ...]) -> Iterator[ScriptAction]:
    """Merge drop and create of a view, and leave out grants on new elements."""
    created = {action.item for action in actions if action.kind == "create view"}
    dropped = {action.item for action in actions if action.kind == "drop view"}
    made = created | {
        action.text.split()[2]
        for action in actions
        if action.text.startswith(("create table ", "create sequence "))
    }
    for action in actions:
        if action.kind == "drop view" and action.item in created:
            continue
        if (action.kind == "grant" and action.table in made) or (
            action.kind == "rename column" and action.table in created
        ):
            continue
        if action.kind == "create view" and action.item in dropped:
            action = replace(action, kind="recreate view", text=f"remake view {action.item}")
        yield action
