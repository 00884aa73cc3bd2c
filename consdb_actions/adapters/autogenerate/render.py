"""Render a revision with the tree's template, and format it as the tree requires."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import black
import sqlalchemy as sa
from alembic.autogenerate import render as alembic_render
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.script import write_hooks
from alembic.util import format_as_comma
from black.parsing import InvalidInput
from mako.template import Template

from consdb_actions.adapters.autogenerate.simulation import migration_context
from consdb_actions.adapters.files import temporary_directory
from consdb_actions.adapters.tree import Section, Shadow
from consdb_actions.errors import InputError
from consdb_actions.migration.rewrite.statements import Rename, Retype, SqlStatement, escape_binds

_LINE_LENGTH = 110
_AROUND = 20  # Characters of a line that the indent and the call use

_NOTICE = re.compile(r"^[ \t]*# ### .*###[ \t]*(?:\n|\Z)", re.MULTILINE)
"""Alembic's "please adjust" comments around generated commands."""


@dataclass(frozen=True)
class RevisionIdentity:
    """What identifies a new revision file."""

    id: str
    down: str | None
    message: str
    created: datetime


def _render_sql(expression: sa.ColumnElement[Any], **_: Any) -> str:
    """Return the text of an expression; compiling changes percent signs and colons (rule M13)."""
    return str(getattr(expression, "text", expression))


@renderers.dispatch_for(SqlStatement)
def _render_statement(context: AutogenContext, op: SqlStatement) -> str:
    """Render ``op.execute`` with one string per line."""
    prefix = context.opts["alembic_module_prefix"] or ""
    whole = str(op.sqltext)
    # Split text that fits on one line would become an implicit concatenation once formatted.
    if len(op.lines) == 1 or len(whole) + _AROUND <= _LINE_LENGTH:
        return f"{prefix}execute({whole!r})"
    parts, rest = [], whole
    for line in op.lines[:-1]:
        size = _escaped_length(rest, line) + 1
        parts.append(repr(rest[:size]))
        rest = rest[size:]
    parts.append(repr(rest))
    return f"{prefix}execute(\n" + "\n".join(parts) + "\n)"


@renderers.dispatch_for(Rename)
def _render_rename(context: AutogenContext, op: Rename) -> str:
    prefix = context.opts["alembic_module_prefix"] or ""
    if op.kind == "column":
        names = f"{op.table!r}, {op.old!r}, new_column_name={op.new!r}"
        return f"{prefix}alter_column({names}, schema={op.schema!r})"
    if op.kind == "table":
        return f"{prefix}rename_table({op.old!r}, {op.new!r}, schema={op.schema!r})"
    return _render_statement(context, op)


def _escaped_length(escaped: str, line: str) -> int:
    size = 0
    for character in line:
        if escaped[size] == "\\" and character != "\\" and escaped[size + 1] == character:
            size += 1
        size += 1
    return size


@renderers.dispatch_for(Retype)
def _render_retype(context: AutogenContext, op: Retype) -> str:
    text = alembic_render._alter_column(context, op)
    return f"{text[:-1]},\npostgresql_using={op.using!r})"


@renderers.dispatch_for(ops.CreatePrimaryKeyOp, replace=True)
def _render_primary_key(context: AutogenContext, op: ops.CreatePrimaryKeyOp) -> str:
    """Render a primary key, which Alembic's autogenerate never writes."""
    prefix = context.opts["alembic_module_prefix"] or ""
    columns = [str(c) for c in op.columns]
    arguments = f"{op.constraint_name!r}, {op.table_name!r}, {columns!r}, schema={op.schema!r}"
    return f"{prefix}create_primary_key({arguments})"


@renderers.dispatch_for(ops.CreateCheckConstraintOp, replace=True)
def _render_check(context: AutogenContext, op: ops.CreateCheckConstraintOp) -> str:
    prefix = context.opts["alembic_module_prefix"] or ""
    # The text as given: compiling removes the escapes that keep ":x" from being a parameter.
    text = op.condition.text if isinstance(op.condition, sa.TextClause) else escape_binds(str(op.condition))
    condition = f"{context.opts['sqlalchemy_module_prefix'] or ''}text({text!r})"
    return (
        f"{prefix}create_check_constraint("
        f"{op.constraint_name!r}, {op.table_name!r}, {condition}, schema={op.schema!r})"
    )


def render_body(
    connection: sa.Connection,
    section: Section,
    upgrade: Sequence[ops.MigrateOperation],
    downgrade: Sequence[ops.MigrateOperation],
    shadow: Shadow | None,
) -> dict[str, Any]:
    """Render both directions to the template's variables."""

    def render_item(kind: str, item: object, context: AutogenContext) -> str | bool:
        if kind == "type" and isinstance(item, sa.DOUBLE_PRECISION):
            return "sa.DOUBLE_PRECISION()"
        if kind == "type" and shadow is not None and isinstance(item, shadow.type_):
            context.imports.add(shadow.import_line)
            return f"{shadow.type_.__name__}()"
        return False

    options = {
        "sqlalchemy_module_prefix": "sa.",
        "alembic_module_prefix": "op.",
        "user_module_prefix": None,
        "render_as_batch": False,
        "render_item": render_item,
        "target_metadata": sa.MetaData(),
    }
    migration = migration_context(connection, section, **options)
    migration.impl.render_ddl_sql_expr = _render_sql  # type: ignore[assignment, method-assign]
    context = AutogenContext(migration, opts=options, autogenerate=False)
    script = ops.MigrationScript(
        "", upgrade_ops=ops.UpgradeOps(list(upgrade)), downgrade_ops=ops.DowngradeOps(list(downgrade))
    )
    variables: dict[str, Any] = {}
    alembic_render._render_python_into_templatevars(context, script, variables)
    return {
        name: _NOTICE.sub("", text).strip() if isinstance(text, str) else text
        for name, text in variables.items()
    }


def render_revision(section: Section, revision: RevisionIdentity, variables: dict[str, Any]) -> str:
    """Fill the tree's template and format the result."""
    source = _without_unused_imports(fill_template(section, revision, variables))
    try:
        return _format(section, source)
    except InvalidInput as error:
        raise _not_python(section, error) from error


def _without_unused_imports(source: str) -> str:
    tree = ast.parse(source)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    lines = source.splitlines(keepends=True)
    for node in tree.body:
        if not isinstance(node, ast.Import | ast.ImportFrom) or getattr(node, "module", "") == "__future__":
            continue
        kept = [a for a in node.names if (a.asname or a.name.split(".")[0]) in used]
        if len(kept) == len(node.names):
            continue
        first, last = node.lineno - 1, node.end_lineno or node.lineno
        node.names = kept
        lines[first:last] = [f"{ast.unparse(node)}\n" if kept else "", *[""] * (last - first - 1)]
    return "".join(lines)


def fill_template(section: Section, revision: RevisionIdentity, variables: dict[str, Any]) -> str:
    """Fill the template, unformatted and without view statements (no ``config.attributes``, rule M2)."""
    template = section.location / "script.py.mako"
    try:
        source = Template(filename=str(template), module_directory=None).render_unicode(  # noqa: S702
            up_revision=revision.id,
            down_revision=revision.down,
            branch_labels=None,
            depends_on=None,
            create_date=revision.created,
            comma=format_as_comma,
            message=_docstring(revision.message),
            config=section.config,
            **variables,
        )
    except Exception as error:
        raise InputError(
            f"the template cannot be filled: {type(error).__name__}: {error}",
            place=str(template),
            remedy="Alembic's own script.py.mako shows the variables that a template can use.",
        ) from error
    try:
        compile(source, str(template), "exec")
    except (SyntaxError, ValueError) as error:
        raise _not_python(section, error) from error
    return str(source)


def _not_python(section: Section, error: Exception) -> InputError:
    return InputError(
        f"what the template makes is not Python: {error}",
        place=str(section.location / "script.py.mako"),
        remedy="Compare it with Alembic's own script.py.mako.",
    )


def file_name(section: Section, revision: RevisionIdentity) -> str:
    """Return the file name by the tree's ``file_template``."""
    try:
        path = section.scripts._rev_path(section.versions, revision.id, revision.message, revision.created)
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"the file_template of section {section.name} cannot be filled: {type(error).__name__}: {error}",
            place=str(section.config.config_file_name),
            remedy="Use the names that Alembic knows, such as %%(rev)s, %%(slug)s and %%(year)d.",
        ) from error
    return Path(path).name


def _docstring(message: str) -> str:
    text = message.replace("\\", "\\\\")
    return re.sub(r'"{3,}|"+\Z', lambda match: r"\"" * len(match[0]), text)


def _format(section: Section, source: str) -> str:
    """Run the tree's ``post_write_hooks``, or format in this process where they cannot run."""
    hooks = section.config.get_section("post_write_hooks", {}) or {}
    names = [n for n in re.split(r"[,\s]+", hooks.get("hooks", "")) if n]
    if names:
        lengths = [_black_line_length(hooks, name) for name in names]
        if all(lengths):
            return black.format_str(source, mode=black.Mode(line_length=lengths[-1] or _LINE_LENGTH))
        try:
            with temporary_directory() as directory:
                path = directory / "revision.py"
                path.write_text(source, encoding="utf-8")
                write_hooks._run_hooks(str(path), section.config.get_hooks_list())
                return path.read_text(encoding="utf-8")
        except Exception:  # noqa: S110 - a hook may fail in any way; the text is then formatted here
            pass
    return black.format_str(source, mode=black.Mode(line_length=_LINE_LENGTH))


def _black_line_length(hooks: dict[str, str], name: str) -> int | None:
    if (hooks.get(f"{name}.type"), hooks.get(f"{name}.entrypoint")) != ("console_scripts", "black"):
        return None
    options = shlex.split(hooks.get(f"{name}.options", ""))
    match [o for o in options if o != "REVISION_SCRIPT_FILENAME"]:
        case []:
            return 88
        case ["-l" | "--line-length", length] if length.isdigit():
            return int(length)
    return None
