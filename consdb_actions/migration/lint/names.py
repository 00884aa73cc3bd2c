"""Names of relations as statements write them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Name"]


class Name(NamedTuple):
    """A relation; ``schema`` is empty where the statement names none and no search path was set."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name
