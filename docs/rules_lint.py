"""Write the chapter on the rules in ``docs/rules-lint.md``; ``--check`` only tells whether it is current."""

from __future__ import annotations

import sys
from pathlib import Path

from consdb_actions.report.lint import render_rules

TARGET = Path(__file__).with_name("rules-lint.md")

CHAPTER = "# The rules\n\n"


def render(page: str) -> str:
    """Return the page with the chapter made again; what stands before it is written by hand."""
    return page.partition(CHAPTER)[0] + CHAPTER + render_rules()


if __name__ == "__main__":
    text = TARGET.read_text(encoding="utf-8")
    if "--check" in sys.argv:
        sys.exit(0 if text == render(text) else 1)
    TARGET.write_text(render(text), encoding="utf-8")
