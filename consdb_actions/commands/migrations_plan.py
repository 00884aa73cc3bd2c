"""``consdb-actions migrations plan``."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import click

from consdb_actions.commands.options import examples, format_option, option
from consdb_actions.forms import Public

__all__ = ["SectionMatrix", "command"]

_DIRECTORY = click.Path(path_type=Path)


@dataclass(frozen=True)
class SectionMatrix(Public):
    """The sections whose schema changes, and the base that they are compared with."""

    FORMAT: ClassVar[str] = "consdb-actions/migration-plan/1"

    changed: bool
    sections: tuple[str, ...]
    matrix: dict[str, tuple[dict[str, str], ...]]  # for the strategy of a job
    base: str  # empty if there is none
    base_problem: str  # why there is no base


@click.command(
    name="plan",
    epilog=examples(
        "migrations plan --consdb ../consdb --sdm-schemas .",
    ),
)
@option(
    "--consdb", type=_DIRECTORY, required=True, help="Checkout of lsst-dm/consdb, or a tree of that shape."
)
@option(
    "--sdm-schemas", type=_DIRECTORY, required=True, help="Checkout of lsst/sdm_schemas, or a folder of YAML."
)
@option(
    "--sdm-schemas-base",
    metavar="DIR|REV",
    help="The same before the change, as a directory or a git revision: sections whose schema is the same "
    "in both are omitted. By default, the merge base of HEAD and the default branch.",
)
@option("--section", "sections", multiple=True, metavar="NAME", help="Only this section; may be repeated.")
@format_option()
def command(
    consdb: Path,
    sdm_schemas: Path,
    sdm_schemas_base: str | None,
    sections: tuple[str, ...],
    output_format: str,
) -> int:
    """Print the sections whose schema changes, as a matrix for jobs. No database is needed.

    On a runner the outputs are changed, and sections: a JSON list, to be used as
    matrix: {section: ${{ fromJSON(needs.plan.outputs.sections) }}}.
    """
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.adapters.schema_sources import resolve_base
    from consdb_actions.adapters.tree import changed_sections, read_tree
    from consdb_actions.forms import as_json
    from consdb_actions.report.markdown import bullets, code, prose

    tree = read_tree(consdb)
    base = resolve_base(sdm_schemas, sdm_schemas_base, consdb=tree.root)
    found = changed_sections(tree, sdm_schemas, base, sections)
    names = tuple(section.name for section in found)
    rows = tuple({"section": section.name, "schema": section.schema} for section in found)
    if base.problem:
        compared = f"There is no base to compare with: {base.problem}. {base.remedy}".strip()
    else:
        compared = f"Compared with {base.label}."
    markdown = bullets(f"{code(s.name)} ({code(s.schema)})" for s in found) or "No schema changes."
    markdown = f"{prose(compared)}\n\n{markdown}"
    if output_format == "json":
        report = SectionMatrix(bool(found), names, {"include": rows}, base.label, base.problem)
        click.echo(json.dumps(as_json(report)))
    elif output_format == "markdown":
        click.echo(markdown)
    else:
        click.echo(compared, err=True)
        click.echo("\n".join(f"{s.name}  {s.schema}" for s in found) or "No schema changes.")
    runner = Runner.from_environ(os.environ)
    runner.summary(f"### Sections whose schema changes\n\n{markdown}\n")
    runner.output("changed", str(bool(found)).lower())
    runner.output("sections", json.dumps(names))
    return 0
