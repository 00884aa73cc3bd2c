"""Configuration of releases: the section ``release``, with the defaults of ConsDB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

__all__ = ["ReleasePolicy", "policy_from_mapping"]

IMAGES = (
    "ghcr.io/lsst-dm/consdb-hinfo",
    "ghcr.io/lsst-dm/consdb-pq",
    "ghcr.io/lsst-dm/consdb-transformed-efd",
)
MIGRATIONS = ("alembic/*/versions/*.py",)


@dataclass(frozen=True, slots=True)
class ReleasePolicy:
    """The configuration of releases."""

    padded: bool = False  # write the month with two digits
    skip: tuple[str, ...] = ()  # versions that cannot be tagged
    images: tuple[str, ...] = IMAGES  # built for each tag; names without tag
    migrations: tuple[str, ...] = MIGRATIONS  # glob patterns; ``*`` does not match a slash
    required: tuple[str, ...] = ()  # checks that must be successful
    ignored: tuple[str, ...] = ()  # glob patterns of checks
    unchecked: bool = False  # allow a commit without any check

    def is_migration(self, path: str) -> bool:
        """Tell whether a path is a migration."""
        parts = path.split("/")
        return any(
            len(parts) == len(wanted := pattern.split("/"))
            and all(fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=True))
            for pattern in self.migrations
        )

    def ignores(self, check: str) -> bool:
        """Tell whether a check is ignored; a required one never is."""
        return check not in self.required and any(fnmatchcase(check, pattern) for pattern in self.ignored)


def policy_from_mapping(values: Mapping[str, Any]) -> ReleasePolicy:
    """Build the policy from its validated configuration section."""
    checks = values.get("checks", {})
    return ReleasePolicy(
        padded=values.get("padded", False),
        skip=tuple(values.get("skip", ())),
        images=tuple(values.get("images", IMAGES)),
        migrations=tuple(values.get("migrations", MIGRATIONS)),
        required=tuple(checks.get("required", ())),
        ignored=tuple(checks.get("ignored", ())),
        unchecked=checks.get("unchecked", False),
    )
