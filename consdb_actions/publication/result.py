"""Check the files of a generating job before publication (rule S3).

The job runs the target tree's code on data from a pull request, without rights: its files are untrusted.
"""

from __future__ import annotations

import ast
import re
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pglast
import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect

from consdb_actions.errors import CheckFailed
from consdb_actions.lint.sql import ParsedStatement, SqlError, read
from consdb_actions.migration.outcome import RunOutcome, SectionOutcome
from consdb_actions.proposal import blob_sha


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Alembic operations that are fully described by their arguments.
OPERATIONS = _words(
    """add_column alter_column create_check_constraint create_foreign_key create_index
    create_primary_key create_table create_table_comment create_unique_constraint drop_column
    drop_constraint drop_index drop_table drop_table_comment execute rename_table"""
)

# SQLAlchemy names allowed in arguments, besides types in capitals.
CONSTRUCTS = _words(
    """BigInteger Boolean CheckConstraint Column Computed Date DateTime Double Float
    ForeignKeyConstraint Identity Integer Interval LargeBinary Numeric PrimaryKeyConstraint SmallInteger
    String Text Time UniqueConstraint text"""
)

_FLAGS = _words(
    """nullable existing_nullable autoincrement existing_autoincrement unique deferrable primary_key index
    timezone asdecimal always cycle persisted on_null nomaxvalue nominvalue native_enum
    create_constraint create_type inherit_schema if_exists if_not_exists postgresql_nulls_not_distinct
    postgresql_not_valid postgresql_concurrently existing_comment existing_server_default server_default"""
)
_NUMBERS = _words("length precision scale start increment minvalue maxvalue cache dimensions")
# Arguments that Alembic quotes, whatever they hold.
_QUOTED = _words(
    """comment existing_comment name new_column_name table_name constraint_name collation server_default
    existing_server_default"""
)
_SQL = frozenset({"postgresql_using", "postgresql_where"})
# Arguments that Alembic writes as they are.
_PHRASES = frozenset({"initially", "ondelete", "onupdate", "match", "type_", "fields", "autoincrement"})
_DESCRIBED = frozenset({"astext_type", "type_", "existing_type", "server_default", "existing_server_default"})
_LISTS = frozenset({"postgresql_include", "postgresql_ops"})
# Constructs of SQLAlchemy whose first argument is SQL.
_EXPRESSION = frozenset({"text", "CheckConstraint", "Computed"})

_KINDS = _words(
    """AlterSeqStmt AlterStatsStmt AlterTableStmt CommentStmt ConstraintsSetStmt CreateSeqStmt
    CreateStatsStmt CreateTableAsStmt DeleteStmt DropStmt GrantStmt IndexStmt InsertStmt
    RefreshMatViewStmt RenameStmt SelectStmt UpdateStmt ViewStmt"""
)
_ALTERATIONS = _words(
    """AddColumn AddConstraint AddIdentity AlterColumnType AlterConstraint ColumnDefault ClusterOn
    DropCluster DropColumn DropConstraint DropExpression DropIdentity DropNotNull ReplicaIdentity
    ResetOptions SetCompression SetExpression SetIdentity SetNotNull SetOptions SetStatistics SetStorage
    ValidateConstraint"""
)
_RELATIONS = _words("OBJECT_INDEX OBJECT_MATVIEW OBJECT_SEQUENCE OBJECT_STATISTIC_EXT OBJECT_VIEW")
_ELEMENTS = _RELATIONS | _words("OBJECT_COLUMN OBJECT_TABCONSTRAINT OBJECT_TABLE")
# What may be changed by a statement of a kind, where that is not all.
_PARTS = {
    "AlterTableStmt": frozenset(f"AT_{name}" for name in _ALTERATIONS),
    "CommentStmt": _ELEMENTS,
    "DropStmt": _RELATIONS,
    "GrantStmt": frozenset({"OBJECT_SEQUENCE", "OBJECT_TABLE"}),
    "RenameStmt": _ELEMENTS,
}
_OPTIONS = _words(
    """always as cache cycle increment maxvalue minvalue n_distinct n_distinct_inherited owned_by restart
    start security_barrier security_invoker check_option fillfactor"""
)
# Functions that look at their arguments, and at nothing outside of the database.
_FUNCTIONS = _words(
    """abs acos age area array_agg array_length array_position array_to_string ascii asin atan atan2 avg
    bit_length bool_and bool_or btrim cardinality cbrt ceil ceiling center char_length character_length
    chr circle clock_timestamp concat concat_ws convert_from convert_to coord_dist cos cosd count
    cume_dist date_part date_trunc decode degrees dense_rank dist div encode every exp extract
    first_value floor format gcd gen_random_uuid generate_series initcap isfinite json_agg
    json_array_length json_build_object json_typeof jsonb_agg jsonb_array_length jsonb_build_object
    jsonb_typeof justify_days justify_hours lag last_value lat lcm lead least left length ln log log10
    long lower lpad ltrim make_date make_interval make_time make_timestamp make_timestamptz max md5 min
    mod mode nextval now nth_value ntile num_nonnulls num_nulls octet_length overlay percent_rank
    percentile_cont percentile_disc pg_get_serial_sequence pi point position power quote_literal radians
    radius rank regexp_count regexp_like regexp_match regexp_matches regexp_replace regexp_substr repeat
    replace reverse right round row_number rpad rtrim sbox scale scircle setval sha256 sign sin sind
    sline spath spherical_distance split_part spoint spoint_dms spoint_hms spoly sqrt srange starts_with
    statement_timestamp stddev stddev_pop stddev_samp strans string_agg string_to_array strpos substr
    substring sum tan tand timezone to_char to_date to_number to_timestamp transaction_timestamp
    translate trim trim_array trim_scale trunc unnest upper var_pop var_samp variance width_bucket"""
)
_OPEN, _CLOSE, _COMMA = "ASCII_40", "ASCII_41", "ASCII_44"
_APART = frozenset({"ASCII_59", "SQL_COMMENT", "C_COMMENT"})
_TIMEOUT = re.compile(r"SET LOCAL lock_timeout = '[1-9][0-9]{0,3}ms'", re.ASCII)
# How a revision that locks several tables begins.
_LOCK = re.compile(r"LOCK TABLE [^;]+ IN ACCESS EXCLUSIVE MODE")
# The one block that is generated: it stops where rows disagree.
_GUARD = re.compile(
    r"DO\s+(?P<tag>\$\w*\$)BEGIN IF EXISTS \((?P<rows>.+)\) THEN RAISE EXCEPTION USING MESSAGE = "
    r"(?P<message>E?'(?:[^'\\]|''|\\\\)*'); END IF; END(?P=tag)",
    re.DOTALL,
)

_IMPORTS = {
    "typing": {"Sequence", "Union"},
    "collections.abc": {"Sequence"},
    "alembic": {"op"},
    "sqlalchemy.dialects": {"mysql", "oracle", "postgresql", "sqlite"},
    "lsst.consdb.cdb_pgsphere": {"SPoly"},
}
_TYPES = _words(
    """BigInteger Boolean Date DateTime Double Float Integer Interval LargeBinary Numeric SmallInteger
    String Text Time"""
)
_MODULES = frozenset({"sa", "mysql", "oracle", "postgresql", "sqlite"})
_NAMES = ("revision", "down_revision", "branch_labels", "depends_on")
_SCHEMAS = frozenset({"schema", "source_schema", "referent_schema"})
_ANNOTATIONS = frozenset({"str", "None", "Union", "Sequence"})
_COOKIE = re.compile(r"^[ \t\f]*#.*?coding[:=]", re.ASCII)
_ID = re.compile(r"[0-9a-f]{12}", re.ASCII)
_TYPE = re.compile(r"[A-Z][A-Z0-9_]*", re.ASCII)
_PHRASE = re.compile(r"[A-Za-z_]+(?: [A-Za-z_]+)*", re.ASCII)


class BadFileError(ValueError):
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


def read_revision(data: bytes, schema: str) -> RevisionFile:
    """Hold a file against what a generated revision of one schema looks like."""
    _check_text(data)
    statements = list(_parse(data).body)
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
                raise BadFileError(statement.lineno, "this is neither an operation nor a part of a revision")
    if functions != {"upgrade", "downgrade"}:
        raise BadFileError(0, "it does not have the two functions upgrade() and downgrade()")
    revision, down = found.get("revision"), found.get("down_revision")
    if revision is None or not _ID.fullmatch(revision):
        raise BadFileError(0, "its revision is not an id of 12 hexadecimal digits")
    if down is not None and not re.fullmatch(r"\w{1,64}", down, re.ASCII):
        raise BadFileError(0, "its down_revision is not an id")
    if found.get("branch_labels") is not None or found.get("depends_on") is not None:
        raise BadFileError(0, "it has branch labels or depends on a revision of another section")
    return RevisionFile(revision, down)


def _check_text(data: bytes) -> None:
    """Read the text that Python and a person both read: UTF-8, with nothing in it that cannot be seen."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadFileError(0, "this is not UTF-8") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if number <= 2 and _COOKIE.match(line):
            raise BadFileError(number, "it declares an encoding")
        for character in line:
            if unicodedata.category(character) in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"):
                raise BadFileError(number, f"it holds the invisible character U+{ord(character):04X}")


def _parse(data: bytes) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(data)
    except SyntaxError as error:
        raise BadFileError(error.lineno or 0, "this is not Python") from None
    except (ValueError, RecursionError, MemoryError):
        raise BadFileError(0, "it cannot be read as Python") from None


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
            raise BadFileError(
                statement.lineno, f"it imports what no generated revision needs: {alias.name[:60]}"
            )


def _note(found: dict[str, str | None], name: str, value: ast.expr, line: int) -> None:
    if name not in _NAMES or name in found:
        raise BadFileError(line, "it sets an unknown name, or one name twice")
    if not isinstance(value, ast.Constant) or not isinstance(value.value, str | None):
        raise BadFileError(line, f"{name} is not text")
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
                raise BadFileError(annotation.lineno, "this annotation is unknown in a revision")


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
        raise BadFileError(function.lineno, f"{function.name}() has arguments or a decorator")
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
                if any(keyword.arg is None for keyword in call.keywords):
                    raise BadFileError(call.lineno, "arguments are unpacked here, which hides what they are")
                _check_operation(name, call, schema)
            case _:
                raise BadFileError(statement.lineno, "this is not an operation that a generated revision has")


def _check_operation(name: str, call: ast.Call, schema: str) -> None:
    if name == "execute":
        if len(call.args) != 1 or call.keywords:
            raise BadFileError(call.lineno, "op.execute() takes one statement and nothing else")
        statement = call.args[0]
        if _is_text_call(statement):
            assert isinstance(statement, ast.Call)
            if len(statement.args) != 1 or statement.keywords:
                raise BadFileError(call.lineno, "sa.text() takes one statement and nothing else")
            statement = statement.args[0]
        _check_sql(_literal(statement), schema, statement.lineno)
        return
    if not any(keyword.arg in _SCHEMAS for keyword in call.keywords):
        raise BadFileError(call.lineno, f"op.{name}() does not say which schema it changes")
    _check_call(name, call, schema)


def _is_text_call(value: ast.expr) -> bool:
    match value:
        case ast.Call(func=ast.Attribute(ast.Name("sa"), "text")):
            return True
    return False


def _literal(value: ast.expr) -> str:
    match value:
        case ast.Constant(value=str() as text):
            return text
    raise BadFileError(value.lineno, "this is not a literal text")


def _check_call(name: str, call: ast.Call, schema: str) -> None:
    """Check the arguments of an operation, of a type, or of what describes a column or a constraint."""
    is_type = name == "SPoly" or name in _TYPES or _TYPE.fullmatch(name) is not None
    for place, value in enumerate(call.args):
        if (name in _EXPRESSION and place == 0) or (name == "create_check_constraint" and place == 2):
            _check_expression(value, schema)
        elif name == "ForeignKeyConstraint" and place == 1:
            _check_targets(value, schema)
        elif is_type and name != "ENUM" and not isinstance(value, ast.Call):
            _check_number(value)
        else:
            _check_value(value, schema)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    for keyword in call.keywords:
        # A type that is there already may be public, as in SQL.
        if name == "ENUM" and keyword.arg == "schema" and given.get("create_type") == "False":
            keyword = ast.keyword(keyword.arg, _own(keyword.value, schema))
        _check_keyword(name, keyword, schema)


def _own(value: ast.expr, schema: str) -> ast.expr:
    is_public = isinstance(value, ast.Constant) and value.value == "public"
    return ast.copy_location(ast.Constant(schema), value) if is_public else value


def _check_keyword(name: str, keyword: ast.keyword, schema: str) -> None:
    word, value = keyword.arg, keyword.value
    match value:
        case _ if word in _SCHEMAS:
            if not isinstance(value, ast.Constant) or value.value != schema:
                raise BadFileError(value.lineno, f"it changes another schema than {schema}")
            return
        case ast.Constant(value=bool() | None) if word in _FLAGS | _NUMBERS | _QUOTED | _DESCRIBED | _SQL:
            return
        case ast.Constant(value=str()) if word in _QUOTED:
            return
        case ast.Constant(value=str() as text) if (
            word in _PHRASES or (word == "postgresql_using" and name == "create_index")
        ) and _PHRASE.fullmatch(text):
            return
        case ast.List() | ast.Dict() if word in _LISTS:
            for node in ast.walk(value):
                if isinstance(node, ast.Constant) and not _PHRASE.fullmatch(str(node.value)):
                    raise BadFileError(value.lineno, f"{word} contains more than names")
            _check_value(value, schema)
            return
        case _ if word in _NUMBERS:
            _check_number(value)
            return
        case _ if (word in _SQL and name != "create_index") or word == "postgresql_where":
            _check_expression(value, schema, is_raw=word == "postgresql_using")
            return
        case ast.Call() if word in _DESCRIBED:
            _check_value(value, schema)
            return
    raise BadFileError(value.lineno, f"no generated revision has this argument: {str(word)[:60]}")


def _check_number(value: ast.expr) -> None:
    match value:
        case ast.Constant(value=bool() | int() | None):
            return
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int())):
            return
    raise BadFileError(value.lineno, "this is not a number")


def _check_targets(value: ast.expr, schema: str) -> None:
    targets = value.elts if isinstance(value, ast.List) else [value]
    for target in targets:
        parts = _literal(target).split(".")
        if len(parts) < 3 or parts[0] != schema:
            raise BadFileError(value.lineno, f"it refers to another schema than {schema}")


def _check_value(value: ast.expr, schema: str) -> None:
    """Let pass literals, and calls that only describe a column, a constraint or a type."""
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
        case ast.Call(func=ast.Attribute(ast.Call() as varied, "with_variant"), args=[kind, ast.Constant()]):
            inner = [varied, kind]
            if value.keywords:
                raise BadFileError(value.lineno, "a variant of a type has more than a type and a dialect")
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if _is_description(value.func):
            _check_call(name, value, schema)
            return
        case _:
            raise BadFileError(
                value.lineno, "an argument is neither a literal nor the description of a column"
            )
    for item in inner:
        _check_value(item, schema)


def _check_expression(value: ast.expr, schema: str, *, is_raw: bool = False) -> None:
    """Check SQL that stands within other SQL: it must be whole in itself."""
    if _is_text_call(value):
        assert isinstance(value, ast.Call)
        _check_call("text", value, schema)
        return
    text, depth = _literal(value), 0
    if not is_raw:
        text = _sent(text, value.lineno)
    try:
        kinds = [token.name for token in pglast.parser.scan(text)]
    except (pglast.Error, UnicodeEncodeError):
        raise BadFileError(value.lineno, "this is not SQL") from None
    for kind in kinds:
        depth += {_OPEN: 1, _CLOSE: -1}.get(kind, 0)
        if depth < 0 or kind in _APART or (depth == 0 and kind == _COMMA):
            raise BadFileError(value.lineno, "this is not a single SQL expression")
    _check_statements(f"SELECT ({text})", schema, value.lineno, frozenset({"SelectStmt"}))


def _check_sql(text: str, schema: str, line: int) -> None:
    """Check a statement for its kind, and for all that it names."""
    text = _sent(text, line)
    if guard := _GUARD.fullmatch(text.strip()):
        _check_statements(guard["rows"], schema, line, frozenset({"SelectStmt"}))
        return
    if _TIMEOUT.fullmatch(text.strip()):
        return
    kinds = frozenset({"LockStmt"}) if _LOCK.fullmatch(text.strip()) else _KINDS
    _check_statements(text, schema, line, kinds)


def _sent(text: str, line: int) -> str:
    """Return what SQLAlchemy makes of a text, in which a colon can begin a parameter."""
    try:
        compiled = sa.text(text).compile(dialect=DefaultDialect(paramstyle="named"))
    except (sa.exc.SQLAlchemyError, RecursionError):
        raise BadFileError(line, "this is not SQL") from None
    if compiled.params:
        raise BadFileError(line, "this SQL has parameters")
    return str(compiled)


def _check_statements(text: str, schema: str, line: int, kinds: frozenset[str]) -> None:
    try:
        statements = read(text)
    except (SqlError, RecursionError):
        raise BadFileError(line, "this is not SQL") from None
    if not statements:
        raise BadFileError(line, "this SQL is empty")
    for statement in statements:
        if why := _refusal(statement, schema, kinds):
            raise BadFileError(line, why)


def _refusal(statement: ParsedStatement, schema: str, kinds: frozenset[str]) -> str:
    """Say why a statement cannot be one of a generated revision; empty where it can."""
    kind = statement.kind
    if kind not in kinds:
        return f"no generated revision has this kind of SQL: {kind.removesuffix('Stmt')}"
    if kind in _PARTS and (other := statement.subtypes - _PARTS[kind] - _OPTIONS):
        return f"no generated revision changes this: {min(other)}"
    if "REVOKE" in statement.subtypes or statement.cascade or statement.temporary or statement.outside:
        return "no generated revision revokes, cascades, or makes something temporary"
    if statement.refused or statement.unjudged:
        return f"no generated revision has {statement.refused or statement.unjudged}"
    if kind == "GrantStmt" and not statement.relations:
        return "it grants on more than one relation"
    if any(not name.schema for name in statement.relations):
        return "it names a relation without its schema"
    for name, is_place in statement.schemas.items():
        # Types and functions live in these.
        if name != schema and (is_place or name not in ("pg_catalog", "public")):
            return f"it names another schema than {schema}: {name[:60]}"
    for name in statement.calls:
        if name.rpartition(".")[2] not in _FUNCTIONS:
            return f"it calls a function that is not known: {name[:60]}()"
    return ""


def _is_description(function: ast.expr) -> bool:
    match function:
        case ast.Name(id="SPoly") | ast.Attribute(ast.Name("op"), "f"):
            return True
        case ast.Attribute(ast.Name("sa"), name) if name in CONSTRUCTS:
            return True
        case ast.Attribute(ast.Name(module), name):
            return module in _MODULES and _TYPE.fullmatch(name) is not None
    return False


MAX_FILES = 64  # Maximum number of files; ConsDB has 11 sections
MAX_FILE = 1_000_000  # Maximum size of a file in bytes; the largest revision of ConsDB has about 250,000
MAX_REPORT = 20_000_000  # Maximum size of a report in bytes

_PATH = re.compile(
    r"(?P<folder>alembic/[a-z0-9_]{1,60})/versions/[A-Za-z0-9][A-Za-z0-9_]{0,150}\.py", re.ASCII
)
_REMEDY = (
    "Nothing was published. Run again; if this persists, check the job that generated it: its result "
    "contains something that the generator does not create."
)


@dataclass(frozen=True, slots=True)
class TargetSection:
    """A section of the ``alembic.ini`` on the target's default branch."""

    name: str
    schema: str
    folder: str  # relative to the repository


def check_result(
    files: Mapping[str, bytes],
    outcome: RunOutcome,
    sections: Sequence[TargetSection],
    present: Mapping[str, str],
) -> dict[str, dict[str, bytes]]:
    """Check that a result only adds revisions of its sections.

    `present` maps the revision files of the default branch to their blobs. Returns the files by section;
    raises `CheckFailed` for anything that the generator does not make.
    """
    if len(files) > MAX_FILES:
        raise CheckFailed(f"the result has {len(files)} files", remedy=_REMEDY)
    known = {section.name: section for section in sections}
    told = _told(outcome, known)
    for path in sorted(files.keys() | told.keys()):
        if path not in told:
            raise _refused(path, "no report lists this file")
        if path not in files:
            raise _refused(path, "the report lists this file, but it is missing")
    accepted: dict[str, dict[str, bytes]] = {}
    for path, section in told.items():
        _check_file(path, files[path], section, known[section.name])
        if present.get(path, blob_sha(files[path])) != blob_sha(files[path]):
            raise _refused(path, "a merged revision of this name would be changed")
        accepted.setdefault(section.name, {})[path] = files[path]
    return accepted


def _told(outcome: RunOutcome, known: Mapping[str, TargetSection]) -> dict[str, SectionOutcome]:
    if outcome.verdict != "changed":
        return {}
    told: dict[str, SectionOutcome] = {}
    for section in outcome.changed:
        if section.name not in known or known[section.name].schema != section.schema:
            raise CheckFailed(
                f"the report lists a section that the target does not have: {section.name[:60]!r}",
                remedy=_REMEDY,
            )
        if section.path in told:
            raise _refused(section.path, "two sections claim this file")
        told[section.path] = section
    return told


def _check_file(
    path: str,
    data: bytes,
    told: SectionOutcome,
    section: TargetSection,
) -> None:
    match = _PATH.fullmatch(path)
    if match is None or match["folder"] != section.folder:
        raise _refused(path, f"this is not a revision file of section {section.name}")
    if len(data) > MAX_FILE:
        raise _refused(path, f"this file has more than {MAX_FILE:,} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(path, "this file is not UTF-8") from None
    if text != told.source:
        raise _refused(path, "this is not the script that the report shows")
    if not all(check.holds is not False for check in told.checks) or not told.checks:
        raise _refused(path, "the report contains no passed verification of this script")
    try:
        revision = read_revision(data, section.schema)
    except BadFileError as error:
        raise _refused(f"{path}:{error.line}" if error.line else path, error.cause) from None
    if revision.revision != told.revision or (revision.down_revision or "") != told.down_revision:
        raise _refused(path, "its revision ids are not those of the report")


def _refused(path: str, cause: str) -> CheckFailed:
    return CheckFailed(f"this cannot be published: {cause}", place=repr(path[:200])[1:-1], remedy=_REMEDY)


def join_outcomes(outcomes: Sequence[RunOutcome], order: Sequence[str]) -> RunOutcome:
    """Join the reports of jobs with one section each; it counts as written only if every job wrote."""
    sections: dict[str, SectionOutcome] = {}
    for outcome in outcomes:
        for section in outcome.sections:
            before = sections.get(section.name)
            if before is not None and before != section:
                raise CheckFailed(f"two reports list the section {section.name[:60]!r}", remedy=_REMEDY)
            sections[section.name] = section
    places = {name: place for place, name in enumerate(order)}
    ordered = sorted(sections.values(), key=lambda s: (places.get(s.name, len(places)), s.name))
    first = next((o for o in outcomes if o.server), outcomes[0])
    return RunOutcome(
        tuple(ordered),
        first.message,
        first.server,
        first.spoly,
        written=all(o.written for o in outcomes if o.verdict == "changed"),
        notes=tuple(dict.fromkeys(note for o in outcomes for note in o.notes)),
    )
