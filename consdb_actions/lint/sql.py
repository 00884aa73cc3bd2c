"""Classify the statements of a revision."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pglast

from consdb_actions.schema.model import Name, is_too_long

Node = Any  # A node of the parser's tree; pglast has no type hints

_WRITES = {"InsertStmt": "inserted", "UpdateStmt": "updated", "DeleteStmt": "deleted", "MergeStmt": "merged"}

_OUTSIDE = {
    "VacuumStmt": "VACUUM",
    "CreatedbStmt": "CREATE DATABASE",
    "DropdbStmt": "DROP DATABASE",
    "CreateTableSpaceStmt": "CREATE TABLESPACE",
    "DropTableSpaceStmt": "DROP TABLESPACE",
    "AlterSystemStmt": "ALTER SYSTEM",
}

# What would reach beyond the scratch database, or needs what only a real one has.
_REFUSED = {
    "AlterSystemStmt": "ALTER SYSTEM",
    "AlterDatabaseStmt": "ALTER DATABASE",
    "AlterDatabaseSetStmt": "ALTER DATABASE",
    "AlterRoleSetStmt": "ALTER ROLE",
    "CreatedbStmt": "CREATE DATABASE",
    "DropdbStmt": "DROP DATABASE",
    "CreateTableSpaceStmt": "CREATE TABLESPACE",
    "DropTableSpaceStmt": "DROP TABLESPACE",
    "CreateSubscriptionStmt": "CREATE SUBSCRIPTION",
    "AlterSubscriptionStmt": "ALTER SUBSCRIPTION",
    "DropSubscriptionStmt": "DROP SUBSCRIPTION",
    "CreateForeignServerStmt": "CREATE SERVER",
    "AlterForeignServerStmt": "ALTER SERVER",
    "CreateForeignTableStmt": "CREATE FOREIGN TABLE",
    "ImportForeignSchemaStmt": "IMPORT FOREIGN SCHEMA",
    "CreateFdwStmt": "CREATE FOREIGN DATA WRAPPER",
    "CreateUserMappingStmt": "CREATE USER MAPPING",
    "CreatePLangStmt": "CREATE LANGUAGE",
    "CreateExtensionStmt": "CREATE EXTENSION",
    "LoadStmt": "LOAD",
    "NotifyStmt": "NOTIFY",
    "CopyStmt": "COPY",
}

_CODE = {
    "DoStmt": "a DO block",
    "CallStmt": "CALL of a procedure",
    "ExecuteStmt": "EXECUTE of a prepared statement",
    "CreateFunctionStmt": "the body of a function",
    "RuleStmt": "a rule, which changes what other statements do",
    "CreateEventTrigStmt": "an event trigger",
    "CreateTrigStmt": "what a trigger does",
}

# Statements whose effect is visible in the catalog or in the statement itself.
_UNDERSTOOD_NAMES = """
AlterDefaultPrivilegesStmt AlterDomainStmt AlterEnumStmt AlterObjectSchemaStmt AlterOwnerStmt
AlterPolicyStmt AlterPublicationStmt AlterSeqStmt AlterStatsStmt AlterTableStmt AlterTableMoveAllStmt
AlterTypeStmt CheckPointStmt ClusterStmt CommentStmt CompositeTypeStmt ConstraintsSetStmt CreateDomainStmt
CreateEnumStmt CreatePolicyStmt CreatePublicationStmt CreateRangeStmt CreateRoleStmt CreateSchemaStmt
CreateSeqStmt CreateStatsStmt CreateStmt CreateTableAsStmt DeallocateStmt DeleteStmt DropOwnedStmt
DropRoleStmt DropStmt ExplainStmt GrantRoleStmt GrantStmt IndexStmt InsertStmt LockStmt MergeStmt
PrepareStmt ReassignOwnedStmt RefreshMatViewStmt ReindexStmt RenameStmt SelectStmt TransactionStmt
TruncateStmt UpdateStmt VacuumStmt VariableSetStmt VariableShowStmt ViewStmt
"""

_UNDERSTOOD = frozenset(_UNDERSTOOD_NAMES.split())

# These do not change tables, their columns and their locks.
_WITHOUT_CATALOG_NAMES = """
CommentStmt GrantStmt GrantRoleStmt AlterDefaultPrivilegesStmt VariableShowStmt TransactionStmt
ExplainStmt DeallocateStmt PrepareStmt InsertStmt UpdateStmt DeleteStmt MergeStmt
"""

_WITHOUT_CATALOG = frozenset(_WITHOUT_CATALOG_NAMES.split())

_DANGEROUS = re.compile(
    r"\b(program|dblink|pg_read|pg_write|pg_ls|lo_(im|ex)port|pg_terminate|pg_cancel|pg_reload|pg_promote"
    r"|pg_rotate|alter\s+system|copy|pg_create_\w*slot|pg_drop_\w*slot|pg_sleep|pg_switch|http_)\w*",
    re.IGNORECASE,
)

_TRANSACTION = {
    "TRANS_STMT_BEGIN": "begin",
    "TRANS_STMT_START": "begin",
    "TRANS_STMT_COMMIT": "commit",
    "TRANS_STMT_PREPARE": "commit",
    "TRANS_STMT_ROLLBACK": "rollback",
    "TRANS_STMT_SAVEPOINT": "savepoint",
    "TRANS_STMT_RELEASE": "savepoint",
    "TRANS_STMT_ROLLBACK_TO": "savepoint",
}

_RELATIONS = frozenset(
    f"OBJECT_{what}" for what in ("TABLE", "VIEW", "MATVIEW", "INDEX", "SEQUENCE", "FOREIGN_TABLE")
)

_MEMBERS = frozenset(f"OBJECT_{what}" for what in ("COLUMN", "TABCONSTRAINT", "TRIGGER", "RULE", "POLICY"))

_BY_TEXT = frozenset(
    {"nextval", "setval", "currval", "pg_get_serial_sequence", "to_regclass", "pg_relation_size"}
)

_ABOUT = {
    "CommentStmt": "objtype",
    "DropStmt": "removeType",
    "RenameStmt": "renameType",
    "AlterOwnerStmt": "objectType",
}


class SqlError(Exception):
    """Text that Postgres cannot parse, with the parser's message."""


@dataclass(frozen=True, slots=True)
class RowWrite:
    """Rows that a statement writes or removes."""

    table: Name
    how: str  # ``inserted``, ``updated`` or ``deleted``
    columns: tuple[str, ...] = ()  # Columns that an UPDATE sets
    everything: bool = False  # Whether it has no condition


@dataclass(frozen=True, slots=True)
class ParsedStatement:
    """One statement."""

    sql: str
    kind: str  # Class of the parser's node, such as ``AlterTableStmt``
    subtypes: frozenset[str] = frozenset()
    """Parts of an ALTER TABLE, such as ``AT_AddColumn``; the object of SET, DROP and REVOKE."""
    target: Name | None = None
    unjudged: str = ""  # What of it cannot be judged by reading; else empty
    refused: str = ""  # Why it must not run on the scratch server; else empty
    outside: str = ""  # Its name, if Postgres refuses it in a transaction
    transaction: str = ""  # ``begin``, ``commit``, ``rollback`` or ``savepoint``
    relations: frozenset[Name] = frozenset()  # Tables, views and others with their schema as written
    schemas: Mapping[str, bool] = frozenset()  # type: ignore[assignment]
    """Schemas that it names; false where only a type or function is named."""
    calls: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    long_identifiers: tuple[str, ...] = ()
    writes: tuple[RowWrite, ...] = ()
    copied: frozenset[tuple[Name, str]] = frozenset()  # Columns whose values it copies elsewhere
    overwritten: tuple[str, ...] = ()  # Columns whose USING ignores the old value
    cascade: bool = False
    temporary: str = ""
    values: tuple[str, ...] = ()  # Roles of a REVOKE, values of a SET, or additions to a publication

    @property
    def changes_catalog(self) -> bool:
        """Whether it can change the catalog."""
        return self.kind not in _WITHOUT_CATALOG


def read(sql: str) -> tuple[ParsedStatement, ...]:
    """Parse any number of statements; SqlError if the text is not SQL."""
    if "\0" in sql:
        raise SqlError("the text contains a NUL character")
    try:
        out = []
        for raw in pglast.parse_sql(sql):
            start = raw.stmt_location or 0
            # Positions count characters in pglast's tree.
            text = sql[start : start + raw.stmt_len] if raw.stmt_len else sql[start:]
            out.append(_parsed(raw.stmt, text.strip().rstrip(";").rstrip()))
    except pglast.Error as error:
        message = str(error.args[0] if error.args else error)
        raise SqlError(message.partition(", at index")[0].splitlines()[0]) from error
    except UnicodeEncodeError as error:
        raise SqlError("the text contains characters that are not Unicode text") from error
    return tuple(out)


def _parsed(node: Node, text: str) -> ParsedStatement:
    what = _kind(node)
    nodes = list(_walk(node))
    ctes = {n.ctename for n in nodes if _kind(n) == "CommonTableExpr"}
    relations = _relations(nodes, ctes)
    schemas: dict[str, bool] = {}
    for each in nodes:
        schemas.update(dict.fromkeys(_schemas(each), True))
        for schema in _schemas_of_code(each):
            schemas.setdefault(schema, False)
    schemas.update((relation.schema, True) for relation in relations if relation.schema)
    return ParsedStatement(
        sql=text,
        kind=what,
        subtypes=frozenset(_subtypes(node, what)),
        target=_target(node),
        unjudged=_unjudged(node, what),
        refused=_refused(node, what, text, nodes),
        outside=_outside(node, what),
        transaction=_TRANSACTION.get(node.kind.name, "") if what == "TransactionStmt" else "",
        relations=frozenset(relations),
        schemas=schemas,
        calls=tuple(_functions(nodes)),
        functions=tuple(_functions(nodes)) if what in _RUNS_EXPRESSIONS else (),
        long_identifiers=tuple(_long_identifiers(text)),
        writes=tuple(w for n in nodes for w in _writes(n)),
        copied=frozenset(_copied(nodes)),
        overwritten=tuple(_overwritten(node)) if what == "AlterTableStmt" else (),
        cascade=_cascades(node, what),
        temporary=_temporary(node),
        values=tuple(_values(node, what)),
    )


_RUNS_EXPRESSIONS = frozenset({"SelectStmt", "CreateTableAsStmt", "ExplainStmt", *_WRITES})


def _kind(node: Node) -> str:
    return type(node).__name__


def _is_node(value: object) -> bool:
    return type(value).__module__ == "pglast.ast"


def _walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it, without recursion: expressions can be very deep."""
    stack = list(reversed(node)) if isinstance(node, tuple) else [node]
    while stack:
        current = stack.pop()
        if isinstance(current, tuple):
            stack.extend(reversed(current))
        elif _is_node(current):
            yield current
            stack.extend(getattr(current, slot) for slot in reversed(tuple(type(current).__slots__)))


def _strings(values: Iterable[Node] | None) -> tuple[str, ...]:
    return tuple(value.sval for value in values or () if _kind(value) == "String")


def _name(parts: Iterable[Node]) -> Name:
    texts = _strings(parts)
    return Name(texts[-2] if len(texts) > 1 else "", texts[-1] if texts else "")


def _range(node: Node) -> Name:
    return Name(node.schemaname or "", node.relname)


def _target(node: Node) -> Name | None:
    found = getattr(node, "relation", None)
    if _kind(found) == "RangeVar":
        return _range(found)
    return _range(node.view) if _kind(node) == "ViewStmt" else None


def _subtypes(node: Node, what: str) -> Iterator[str]:
    if what == "AlterTableStmt":
        yield from (command.subtype.name for command in node.cmds)
        yield from (n.defname for n in _walk(node.cmds) if _kind(n) == "DefElem")
    elif what == "VariableSetStmt" and node.kind.name == "VAR_SET_VALUE":
        if [_constant(value).lower() for value in node.args or ()] != ["none"]:
            yield node.name.lower()
    elif what == "AlterEnumStmt" and node.oldVal:
        yield "RENAME VALUE"
    elif what in _ABOUT:
        yield getattr(node, _ABOUT[what]).name
    elif what in ("GrantStmt", "GrantRoleStmt", "AlterDefaultPrivilegesStmt"):
        granting: Node = node.action if what == "AlterDefaultPrivilegesStmt" else node
        if not granting.is_grant:
            yield "REVOKE"
        if what == "GrantStmt":
            yield granting.objtype.name
    elif what == "AlterPublicationStmt":
        yield node.action.name if node.pubobjects or node.for_all_tables else "options"
    elif what == "SelectStmt":
        for call in _config_calls(node):
            yield _constant(call.args[0]).lower()


def _values(node: Node, what: str) -> Iterator[str]:
    """Yield roles, the values of a setting, or what a publication names."""
    if what == "VariableSetStmt":
        yield from (_constant(value) for value in node.args or ())
    elif what == "SelectStmt":
        for call in _config_calls(node):
            yield from (part.strip() for part in _constant(call.args[1]).split(","))
    elif what in ("GrantStmt", "AlterDefaultPrivilegesStmt"):
        yield from _roles((node.action if what != "GrantStmt" else node).grantees)
    elif what in ("CreatePublicationStmt", "AlterPublicationStmt"):
        if node.for_all_tables:
            yield "*"
        for item in node.pubobjects or ():
            yield str(_range(item.pubtable.relation)) if item.pubtable is not None else f"{item.name}.*"
    elif what == "AlterTableStmt":
        yield from (
            command.def_.identity_type
            for command in node.cmds
            if command.subtype.name == "AT_ReplicaIdentity"
        )
    elif what == "DropOwnedStmt":
        yield from _roles(node.roles)


def _roles(specs: Iterable[Node] | None) -> Iterator[str]:
    for role in specs or ():
        yield role.rolename if role.roletype.name == "ROLESPEC_CSTRING" else role.roletype.name[9:]


def _config_calls(node: Node) -> Iterator[Node]:
    for target in node.targetList or ():
        call = target.val
        if (
            _kind(call) == "FuncCall"
            and _strings(call.funcname)[-1:] == ("set_config",)
            and len(call.args or ()) == 3
        ):
            yield call


def _constant(node: Node) -> str:
    if _kind(node) != "A_Const" or node.isnull:
        return ""
    value = node.val
    return str(
        next((getattr(value, s) for s in ("sval", "ival", "fval", "boolval") if hasattr(value, s)), "")
    )


def _unjudged(node: Node, what: str) -> str:
    if what in _CODE:
        return _CODE[what]
    if what == "CopyStmt":
        return "COPY"
    if what in _UNDERSTOOD or what in _OUTSIDE or (what == "CreateExtensionStmt" and not _reaches_out(node)):
        return ""
    return _REFUSED.get(what) or f"a statement that lint does not know ({what.removesuffix('Stmt')})"


def _refused(node: Node, what: str, text: str, nodes: list[Node]) -> str:
    if what in _REFUSED and (what != "CreateExtensionStmt" or _reaches_out(node)):
        return _REFUSED[what]
    if what in ("DeallocateStmt", "DiscardStmt") and not getattr(node, "name", None):
        return "DEALLOCATE ALL" if what == "DeallocateStmt" else "DISCARD"
    if what == "AlterTableMoveAllStmt":
        return "ALTER TABLE ALL IN TABLESPACE"
    # A word in a text is only a word; in code it may be a call.
    called = [text] if what == "DoStmt" else _functions(nodes)
    found = next((match for name in called if (match := _DANGEROUS.search(name))), None)
    if found and (what == "DoStmt" or what == "CallStmt" or what in _RUNS_EXPRESSIONS):
        return found[0]
    return ""


def _reaches_out(node: Node) -> bool:
    """Return whether an extension gives SQL access beyond the database."""
    return re.search(r"dblink|fdw|python|perl|tcl|adminpack|cron|http|net", node.extname) is not None


def _outside(node: Node, what: str) -> str:
    if what == "VacuumStmt":
        return "VACUUM" if node.is_vacuumcmd else ""
    if getattr(node, "concurrent", False) and what in ("IndexStmt", "DropStmt"):
        return f"{'CREATE' if what == 'IndexStmt' else 'DROP'} INDEX CONCURRENTLY"
    if what == "ReindexStmt" and any(p.defname == "concurrently" for p in node.params or ()):
        return "REINDEX CONCURRENTLY"
    return _OUTSIDE.get(what, "")


def _cascades(node: Node, what: str) -> bool:
    parts = [node, *(node.cmds if what == "AlterTableStmt" else ())]
    if what in ("GrantStmt", "GrantRoleStmt"):
        return False
    return any(getattr(getattr(p, "behavior", None), "name", "") == "DROP_CASCADE" for p in parts)


def _temporary(node: Node) -> str:
    into: Node = getattr(node, "into", None) or getattr(node, "intoClause", None)
    made: Node = into.rel if into else getattr(node, "view", None) or getattr(node, "relation", None)
    is_relation = _kind(made) == "RangeVar" and made.relpersistence == "t"
    return str(made.relname) if is_relation else ""


def _functions(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        if _kind(node) == "FuncCall":
            yield ".".join(_strings(node.funcname))


def _relations(nodes: Iterable[Node], ctes: set[str]) -> set[Name]:
    # FOR UPDATE OF names aliases.
    aliases = {id(r) for n in nodes if _kind(n) == "LockingClause" for r in n.lockedRels or ()}
    out = set()
    for node in nodes:
        if (
            _kind(node) == "RangeVar"
            and id(node) not in aliases
            and (node.schemaname or node.relname not in ctes)
        ):
            out.add(_range(node))
        out.update(_listed_relations(node))
    return out


def _listed_relations(node: Node) -> Iterator[Name]:
    """Yield relations named in a list or in a text."""
    what = _kind(node)
    if what == "DropStmt":
        for item in node.objects or ():
            if isinstance(item, tuple):
                yield from _listed(item, node.removeType.name)
    elif what == "CommentStmt" and isinstance(node.object, tuple):
        yield from _listed(node.object, node.objtype.name)
    elif what == "DefElem" and node.defname == "owned_by" and len(node.arg or ()) > 1:
        yield _name(node.arg[:-1])
    elif (
        what == "FuncCall"
        and _strings(node.funcname)[-1:]
        and _strings(node.funcname)[-1] in _BY_TEXT
        and node.args
    ):
        yield from _in_text(node.args[0])
    elif what == "TypeCast" and _strings(node.typeName.names)[-1:] == ("regclass",):
        yield from _in_text(node.arg)


def _listed(parts: tuple[Node, ...], type_: str) -> Iterator[Name]:
    if type_ in _RELATIONS:
        yield _name(parts)
    elif type_ in _MEMBERS and len(parts) > 1:
        yield _name(parts[:-1])


def _in_text(node: Node) -> Iterator[Name]:
    """Yield the relation that a string names, as in ``'schema.name'::regclass``."""
    if _kind(node) == "TypeCast":
        node = node.arg
    if _kind(node) != "A_Const" or _kind(node.val) != "String":
        return
    parts = [
        part[1:-1].replace('""', '"') if part.startswith('"') else part.lower()
        for part in re.findall(r'"(?:[^"]|"")+"|[^".]+', node.val.sval)
    ]
    if parts and not parts[-1].isdigit():
        yield Name(parts[-2] if len(parts) > 1 else "", parts[-1])


def _schemas(node: Node) -> Iterator[str]:
    """Yield schemas named alone, or as qualifier of something other than a relation."""
    what = _kind(node)
    if what == "ColumnRef" and len(node.fields) > 2 and _kind(node.fields[-3]) == "String":
        yield node.fields[-3].sval
    elif what == "CreateSchemaStmt" and node.schemaname:
        yield node.schemaname
    elif what == "AlterObjectSchemaStmt":
        yield node.newschema
    elif what == "RenameStmt" and node.renameType.name == "OBJECT_SCHEMA":
        yield from (node.subname, node.newname)
    elif what == "DropStmt" and node.removeType.name == "OBJECT_SCHEMA":
        yield from _strings(node.objects)
    elif what == "CommentStmt" and node.objtype.name == "OBJECT_SCHEMA":
        yield node.object.sval
    elif what == "GrantStmt":
        if node.targtype.name == "ACL_TARGET_ALL_IN_SCHEMA" or node.objtype.name == "OBJECT_SCHEMA":
            yield from _strings(node.objects)
    elif what == "DefElem" and node.defname == "schemas":
        yield from _strings(node.arg)
    elif what == "PublicationObjSpec" and node.pubobjtype.name == "PUBLICATIONOBJ_TABLES_IN_SCHEMA":
        yield node.name
    elif what == "VariableSetStmt" and node.name == "search_path":
        yield from _path(_constant(value) for value in node.args or ())
    elif what == "SelectStmt":
        for call in _config_calls(node):
            if _constant(call.args[0]) == "search_path":
                yield from _path(part.strip() for part in _constant(call.args[1]).split(","))


def _path(values: Iterable[str]) -> Iterator[str]:
    yield from (value for value in values if value.strip('"') not in ("", "public", "$user"))


def _schemas_of_code(node: Node) -> Iterator[str]:
    what = _kind(node)
    slots = {
        "TypeName": "names",
        "FuncCall": "funcname",
        "ObjectWithArgs": "objname",
        "CreateEnumStmt": "typeName",
        "AlterEnumStmt": "typeName",
        "CreateDomainStmt": "domainname",
        "CreateFunctionStmt": "funcname",
    }
    if what in slots:
        yield from _strings(getattr(node, slots[what]))[-2:-1]


def _long_identifiers(sql: str) -> Iterator[str]:
    """Yield identifiers that Postgres would truncate, by the text's tokens (rule M9)."""
    if not re.search(r"[\w$]{40}", sql) and len(sql.encode()) == len(sql) and '"' not in sql:
        return  # no name can be too long, and scanning takes time
    for token in pglast.parser.scan(sql):
        if token.name in ("IDENT", "UIDENT"):
            text = sql[token.start : token.end + 1]
            name = text[1:-1].replace('""', '"') if text.startswith('"') else text
            if is_too_long(name):
                yield name


def _writes(node: Node) -> Iterator[RowWrite]:
    what = _kind(node)
    if what == "TruncateStmt":
        yield from (RowWrite(_range(relation), "deleted", everything=True) for relation in node.relations)
    elif what == "MergeStmt":
        table = _range(node.relation)
        for clause in node.mergeWhenClauses or ():
            command = clause.commandType.name
            if command == "CMD_UPDATE":
                yield RowWrite(table, "updated", tuple(target.name for target in clause.targetList))
            elif command in ("CMD_INSERT", "CMD_DELETE"):
                yield RowWrite(table, "inserted" if command == "CMD_INSERT" else "deleted")
    elif what in _WRITES:
        table = _range(node.relation)
        everything = what != "InsertStmt" and _unconditional(node)
        columns = tuple(t.name for t in node.targetList) if what == "UpdateStmt" else ()
        yield RowWrite(table, _WRITES[what], columns, everything)
        conflict = getattr(node, "onConflictClause", None)
        if conflict is not None and conflict.targetList:
            yield RowWrite(table, "updated", tuple(target.name for target in conflict.targetList))


def _unconditional(node: Node) -> bool:
    if getattr(node, "fromClause", None) or getattr(node, "usingClause", None):
        return False
    where = node.whereClause
    # A condition that names no column holds for all rows or for none.
    return where is None or not any(_kind(n) in ("ColumnRef", "SubLink") for n in _walk(where))


def _copied(nodes: Iterable[Node]) -> Iterator[tuple[Name, str]]:
    """Yield columns whose values are copied into a table, not only compared."""
    for node in nodes:
        what = _kind(node)
        if what == "InsertStmt" and node.selectStmt is not None:
            sources = node.selectStmt
            values: list[Node] = list(_selected(sources))
        elif what == "CreateTableAsStmt" or (what == "SelectStmt" and node.intoClause is not None):
            sources = node.query if what == "CreateTableAsStmt" else node
            values = list(_selected(sources))
        elif what == "UpdateStmt":
            sources = node
            values = [target.val for target in node.targetList]
        elif what == "MergeStmt":
            sources = node
            values = [
                value
                for clause in node.mergeWhenClauses or ()
                for value in (*(t.val for t in clause.targetList or ()), *(clause.values or ()))
            ]
        else:
            continue
        named: dict[str, Name] = {}
        for found in _walk(sources):
            if _kind(found) == "RangeVar":
                named[found.alias.aliasname if found.alias else found.relname] = _range(found)
        for qualifier, column in _columns(values):
            for alias, table in named.items():
                if qualifier in ("", alias, table.name):
                    yield table, column


def _selected(node: Node) -> Iterator[Node]:
    for side in (getattr(node, "larg", None), getattr(node, "rarg", None)):
        if side is not None:
            yield from _selected(side)
    yield from (target.val for target in getattr(node, "targetList", None) or ())
    for cte in getattr(getattr(node, "withClause", None), "ctes", None) or ():
        yield from _selected(cte.ctequery)
    for source in getattr(node, "fromClause", None) or ():
        if _kind(source) == "RangeSubselect":
            yield from _selected(source.subquery)


def _columns(values: Iterable[Node]) -> Iterator[tuple[str, str]]:
    """Yield qualifier and name of the columns in values, also those that a subquery returns."""
    stack = list(values)
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack.extend(node)
        elif _kind(node) == "SubLink":
            stack.extend(_selected(node.subselect))
        elif _kind(node) == "ColumnRef":
            names = _strings(node.fields)
            star = _kind(node.fields[-1]) == "A_Star"
            yield (
                (names[-1] if star else names[-2]) if len(names) > (0 if star else 1) else "",
                ("*" if star else names[-1]),
            )
        elif _is_node(node):
            stack.extend(getattr(node, slot) for slot in type(node).__slots__)


def _overwritten(node: Node) -> Iterator[str]:
    for command in node.cmds:
        if command.subtype.name == "AT_AlterColumnType" and command.def_.raw_default is not None:
            used = {column for _, column in _columns([command.def_.raw_default])}
            if command.name not in used:
                yield command.name


def same_program(one: str, other: str) -> bool:
    """Compare Python files except comments, layout, docstring and import order."""
    if one == other:
        return True
    try:
        return _normalized(one) == _normalized(other)
    except (SyntaxError, ValueError):
        return False


def _normalized(source: str) -> tuple[list[str], list[str]]:
    module = ast.parse(source)
    body = module.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    rest = [node for node in body if not isinstance(node, ast.Import | ast.ImportFrom)]
    return sorted(ast.dump(node) for node in imports), [ast.dump(node) for node in rest]
