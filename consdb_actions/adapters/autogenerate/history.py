"""Check that a history can be extended: one head, one schema, merged revisions unchanged (rule M12)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from consdb_actions.adapters.merged_revisions import revision_changes
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.errors import InputError

__all__ = ["check_history", "check_merged"]

_COMMENTS = {"comment", "existing_comment"}


def check_history(section: Section, tree: Tree) -> None:
    """Refuse several heads, and revisions that name another section's schema.

    Only text that the program passes on counts: not docstrings, nor comments on tables and columns.
    """
    section.head()
    others = [s.schema for s in tree.sections if s.schema != section.schema]
    if not others:
        return
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, others))})\b")
    for script in section.revisions():
        try:
            text = Path(script.path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"this revision cannot be read: {error}", place=script.path, remedy="Save it as UTF-8."
            ) from error
        for line, value in _texts(ast.parse(text)):
            if match := pattern.search(value):
                number = line + value[: match.start()].count("\n")
                raise InputError(
                    f"this revision of {section.schema} names another schema: {match[0]}",
                    place=f"{script.path}:{number}",
                    remedy=f"A revision in {section.versions} may only touch {section.schema}.",
                )


def check_merged(tree: Tree, sections: Sequence[Section]) -> None:
    """Refuse a merged revision that was edited."""
    changes = revision_changes(tree.root, [s.versions for s in sections], None) if sections else None
    if changes is not None and changes.edited:
        names = sorted(str(path.relative_to(tree.root.resolve())) for path in changes.edited)
        raise InputError(
            f"a revision that is merged already was edited: {', '.join(names)}",
            place=str(tree.root),
            remedy="Put it back as it stands on the default branch, and change the schema by a new revision.",
        )


def _texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield string literals with their lines, except docstrings and comments on tables and columns."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.lineno, node.value
        return
    left_out: list[ast.AST] = []
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.Call):
        left_out += [k for k in node.keywords if k.arg in _COMMENTS]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "create_table_comment":
            left_out += node.args[1:2]
    for child in ast.iter_child_nodes(node):
        if child not in left_out:
            yield from _texts(child)
