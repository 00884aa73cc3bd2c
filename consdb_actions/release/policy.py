"""How releases are made: the section ``release`` of the configuration, with ConsDB's own ways as defaults."""

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
    """How releases are made.

    Attributes
    ----------
    padded
        Whether the month of a version is written with two digits.
    skip
        Versions that cannot be tagged.
    images
        Images that are built for each tag, without the tag.
    migrations
        Patterns of the migrations' files; ``*`` does not match a slash.
    required
        Checks that must have reported success.
    ignored
        Patterns of checks that do not matter.
    unchecked
        Whether a commit on which no check has reported may be tagged.
    """

    padded: bool = False
    skip: tuple[str, ...] = ()
    images: tuple[str, ...] = IMAGES
    migrations: tuple[str, ...] = MIGRATIONS
    required: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    unchecked: bool = False

    def is_migration(self, path: str) -> bool:
        """Tell whether a file of the repository is a migration."""
        parts = path.split("/")
        return any(
            len(parts) == len(wanted := pattern.split("/"))
            and all(fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=True))
            for pattern in self.migrations
        )

    def ignores(self, check: str) -> bool:
        """Tell whether a check does not matter; one that is required always does."""
        return check not in self.required and any(fnmatchcase(check, pattern) for pattern in self.ignored)


def policy_from_mapping(values: Mapping[str, Any]) -> ReleasePolicy:
    """Make the policy.

    Parameters
    ----------
    values
        The section, already checked against the configuration's schema.

    Returns
    -------
    ReleasePolicy
        The policy; what is not given is ConsDB's.
    """
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
