"""Write ``docs/commands.md`` and ``docs/*.schema.json`` from the code.

``--check`` only tells whether they are current.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from consdb_actions.cli import cli
from consdb_actions.config import ConfigFile
from consdb_actions.forms import json_schema
from consdb_actions.migration.outcome import RunOutcome

TARGET = Path(__file__).with_name("commands.md")
SCHEMAS: dict[str, type] = {"config": ConfigFile, "generation": RunOutcome}

HEAD = """\
# Commands

This page is made by `nox -s docs` from the command line itself.

Every option can also be given as the environment variable that stands beside it; this is how the actions pass
their inputs. Exit codes: 0 done or nothing to do; 1 a check failed or a question is open; 2 usage or
configuration; 3 an external service failed; 4 a bug of ours; 5 a database was changed and the
run did not end as planned; 130 interrupted.

Every command takes `-q` (`CONSDB_QUIET`), which leaves only errors and the result, and `-v`
(`CONSDB_VERBOSE`), which says each step on a line of its own with the seconds since the start. On a terminal,
lines are folded at its width; elsewhere every line stays whole.

Completion knows commands, options, and the values of `--section`, `--site`, `--stage` and `--env`, which it
reads from the tree and the configuration. Put one of these into `~/.bashrc`, `~/.zshrc` or
`~/.config/fish/completions/consdb-actions.fish`:

```sh
eval "$(_CONSDB_ACTIONS_COMPLETE=bash_source consdb-actions)"
eval "$(_CONSDB_ACTIONS_COMPLETE=zsh_source consdb-actions)"
_CONSDB_ACTIONS_COMPLETE=fish_source consdb-actions | source
```
"""

EVERYWHERE = ("CONSDB_QUIET", "CONSDB_VERBOSE")


def render() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *_pages(cli, click.Context(cli, info_name="consdb-actions"))])


def schema(kind: type) -> str:
    """Return the JSON Schema of a file or report, a definition on each line."""
    made = json_schema(kind)
    definitions = [f"{json.dumps(name)}: {json.dumps(part)}" for name, part in made.pop("$defs").items()]
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"Generated from {kind.__module__}.{kind.__name__} by nox -s docs.",
        **made,
    }
    return f'{json.dumps(head)[:-1]}, "$defs": {{\n' + ",\n".join(definitions) + "\n}}\n"


def _pages(command: click.Command, context: click.Context) -> Iterator[str]:
    if isinstance(command, click.Group):
        if context.parent is not None:
            yield f"## {context.command_path}\n\n{_prose(command)}\n"
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _pages(below, click.Context(below, info_name=name, parent=context))
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"### {context.command_path}\n\n```text\n{context.command_path} {usage}\n```\n\n{_prose(command)}\n"
    if command.epilog:
        lines = [line.removeprefix("  ") for line in command.epilog.splitlines()[2:]]
        yield "\n".join(["```sh", *lines, "```\n"])
    rows = [
        _row(p, context)
        for p in command.params
        if isinstance(p, click.Option) and not p.hidden and p.envvar not in EVERYWHERE
    ]
    if rows:
        yield "\n".join(["| option | variable | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def _prose(command: click.Command) -> str:
    r"""Return the help, with what stands after ``\b`` as it stands in the source."""
    paragraphs = inspect.cleandoc(command.help or "").partition("\f")[0].strip().split("\n\n")
    return "\n\n".join(
        f"```text\n{inspect.cleandoc(p.removeprefix(chr(8)))}\n```" if p.startswith("\b") else p
        for p in paragraphs
    )


def _row(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    names = record[0] if record else ", ".join(option.opts)
    variable = option.envvar if isinstance(option.envvar, str) else ""
    notes = []
    if option.required:
        notes.append("Required.")
    if option.show_default and option.default not in (None, ()):
        notes.append(f"Default: `{option.default}`.")
    meaning = " ".join([option.help or "", *notes]).replace("|", r"\|").replace("*", r"\*")
    names = names.replace("|", r"\|")
    return f"| `{names}` | {f'`{variable}`' if variable else ''} | {meaning} |"


if __name__ == "__main__":
    made = (
        (TARGET, render()),
        *((TARGET.with_name(f"{name}.schema.json"), schema(kind)) for name, kind in SCHEMAS.items()),
    )
    if "--check" in sys.argv:
        current = all(path.is_file() and path.read_text(encoding="utf-8") == text for path, text in made)
        sys.exit(0 if current else 1)
    for path, text in made:
        path.write_text(text, encoding="utf-8")
