"""Assign different people to roles (rule A3, ``distinct: true``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["assign"]


def assign(candidates: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Assign different people to as many roles as possible (Kuhn's algorithm), in given order."""
    role_of: dict[str, str] = {}

    def place(role: str, seen: set[str]) -> bool:
        for person in candidates[role]:
            if person in seen:
                continue
            seen.add(person)
            if person not in role_of or place(role_of[person], seen):
                role_of[person] = role
                return True
        return False

    for role in candidates:
        place(role, set())
    assigned = {role: person for person, role in role_of.items()}
    return {role: assigned[role] for role in candidates if role in assigned}
