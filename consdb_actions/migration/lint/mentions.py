"""The schemas, relations and identifiers that a statement names, wherever it names them (rule M12)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pglast

from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.nodes import Node, kind, name_of, strings, walk
from consdb_actions.schema.names import is_too_long

__all__ = ["Mentions", "long_identifiers", "mentions"]

_RELATIONS = frozenset(
    {
        "OBJECT_TABLE",
        "OBJECT_VIEW",
        "OBJECT_MATVIEW",
        "OBJECT_INDEX",
        "OBJECT_SEQUENCE",
        "OBJECT_FOREIGN_TABLE",
    }
)
_MEMBERS = frozenset(
    {"OBJECT_COLUMN", "OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY"}
)
_BY_TEXT = frozenset(
    {"nextval", "setval", "currval", "pg_get_serial_sequence", "to_regclass", "pg_relation_size"}
)


@dataclass(frozen=True, slots=True)
class Mentions:
    """What a statement names.

    Attributes
    ----------
    schemas
        Schemas, and whether one is named only for a type or a function (false) or for more (true).
    relations
        Tables, views and others with their schema as written; empty where none is written.
    """

    schemas: dict[str, bool]
    relations: frozenset[Name]

    @property
    def unqualified(self) -> tuple[str, ...]:
        """Relations that are named without a schema."""
        return tuple(sorted(r.name for r in self.relations if not r.schema))


def mentions(statement: Node) -> Mentions:
    """Collect what a parsed statement names."""
    nodes = list(walk(statement))
    named_here = {cte.ctename for cte in nodes if kind(cte) == "CommonTableExpr"}
    # FOR UPDATE OF names aliases.
    aliases = {id(r) for n in nodes if kind(n) == "LockingClause" for r in n.lockedRels or ()}
    relations: set[Name] = set()
    schemas: dict[str, bool] = {}
    for node in nodes:
        is_relation = kind(node) == "RangeVar" and id(node) not in aliases
        if is_relation and (node.schemaname or node.relname not in named_here):
            relations.add(Name(node.schemaname or "", node.relname))
        relations.update(_relations(node))
        for schema in _schemas(node):
            schemas[schema] = True
        for schema in _schemas_of_code(node):
            schemas.setdefault(schema, False)
    for relation in relations:
        if relation.schema:
            schemas[relation.schema] = True
    return Mentions(schemas, frozenset(relations))


def _relations(node: Node) -> Iterator[Name]:
    """Yield relations that are named as a list of words or in a text."""
    what = kind(node)
    if what == "DropStmt":
        objects, type_ = node.objects or (), node.removeType.name
        for item in objects:
            if isinstance(item, tuple):
                yield from _listed(item, type_)
    elif what == "CommentStmt" and isinstance(node.object, tuple):
        yield from _listed(node.object, node.objtype.name)
    elif what == "DefElem" and node.defname == "owned_by" and len(node.arg or ()) > 1:
        yield name_of(node.arg[:-1])
    elif what == "FuncCall" and strings(node.funcname)[-1] in _BY_TEXT and node.args:
        yield from _in_text(node.args[0])
    elif what == "TypeCast" and strings(node.typeName.names)[-1:] == ("regclass",):
        yield from _in_text(node.arg)


def _listed(parts: tuple[Node, ...], type_: str) -> Iterator[Name]:
    if type_ in _RELATIONS:
        yield name_of(parts)
    elif type_ in _MEMBERS and len(parts) > 1:
        yield name_of(parts[:-1])


def _in_text(node: Node) -> Iterator[Name]:
    """Yield the relation that a string names, as ``'schema.name'::regclass`` does."""
    if kind(node) == "TypeCast":
        node = node.arg
    if kind(node) != "A_Const" or kind(node.val) != "String":
        return
    parts = [
        part[1:-1].replace('""', '"') if part.startswith('"') else part.lower()
        for part in re.findall(r'"(?:[^"]|"")+"|[^".]+', node.val.sval)
    ]
    if parts and not parts[-1].isdigit():
        yield Name(parts[-2] if len(parts) > 1 else "", parts[-1])


def _schemas(node: Node) -> Iterator[str]:
    """Yield schemas that are named for themselves, or before something that is no relation."""
    what = kind(node)
    if what == "ColumnRef" and len(node.fields) > 2 and kind(node.fields[-3]) == "String":
        yield node.fields[-3].sval
    elif what == "CreateSchemaStmt" and node.schemaname:
        yield node.schemaname
    elif what == "AlterObjectSchemaStmt":
        yield node.newschema
    elif what == "RenameStmt" and node.renameType.name == "OBJECT_SCHEMA":
        yield from (node.subname, node.newname)
    elif what == "DropStmt" and node.removeType.name == "OBJECT_SCHEMA":
        yield from strings(node.objects)
    elif what == "CommentStmt" and node.objtype.name == "OBJECT_SCHEMA":
        yield node.object.sval
    elif what == "GrantStmt":
        if node.targtype.name == "ACL_TARGET_ALL_IN_SCHEMA" or node.objtype.name == "OBJECT_SCHEMA":
            yield from strings(node.objects)
    elif what == "DefElem" and node.defname == "schemas":
        yield from strings(node.arg)
    elif what == "PublicationObjSpec" and node.pubobjtype.name == "PUBLICATIONOBJ_TABLES_IN_SCHEMA":
        yield node.name


def _schemas_of_code(node: Node) -> Iterator[str]:
    """Yield schemas that are named before a type, a function or an operator."""
    what = kind(node)
    if what == "TypeName":
        names = strings(node.names)
    elif what == "FuncCall":
        names = strings(node.funcname)
    elif what == "ObjectWithArgs":
        names = strings(node.objname)
    elif what in ("CreateEnumStmt", "AlterEnumStmt"):
        names = strings(node.typeName)
    elif what == "CreateDomainStmt":
        names = strings(node.domainname)
    elif what == "CreateFunctionStmt":
        names = strings(node.funcname)
    else:
        return
    yield from names[-2:-1]


def long_identifiers(sql: str) -> tuple[str, ...]:
    """Return the identifiers of a statement that Postgres would cut, as they are written (rule M9).

    The parser cuts them like the server does, so that they are looked for among the tokens of the text.
    """
    found = {}
    for token in pglast.parser.scan(sql):
        if token.name in ("IDENT", "UIDENT"):
            text = sql[token.start : token.end + 1]
            name = text[1:-1].replace('""', '"') if text.startswith('"') else text
            if is_too_long(name):
                found[name] = True
    return tuple(found)
