"""Compare two versions of a revision file."""

from __future__ import annotations

import ast

__all__ = ["same_program"]


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
