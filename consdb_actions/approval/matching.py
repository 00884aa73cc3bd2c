"""Different people for different roles (rule A3, ``distinct: true``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["assign"]


def assign(candidates: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Give as many roles as possible a person of their own.

    A maximum matching by augmenting paths (Kuhn's algorithm). Roles are served in the order given and people
    tried in the order given, so that equal input gives equal output.
    """
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
