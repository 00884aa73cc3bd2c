"""Update our part of a pull request's body, and keep the rest."""

from __future__ import annotations

import re

__all__ = ["merged_body"]

BEGIN = "<!-- consdb-actions: this part is written anew on each run -->"
END = "<!-- consdb-actions: end -->"

_TICK = re.compile(r"^(\s*[-*] \[)[xX](?=\])", re.MULTILINE)


def merged_body(present: str, wanted: str) -> str:
    """Return the body with our part replaced."""
    present = present.replace("\r\n", "\n")
    part = f"{BEGIN}\n{wanted.strip()}\n{END}"
    before, begin, rest = present.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end:
        return f"{part}\n\n{present.strip()}" if present.strip() else part
    if _TICK.sub(r"\1 ", inside).strip() == wanted.strip():
        return present
    return f"{before}{part}{after}"
