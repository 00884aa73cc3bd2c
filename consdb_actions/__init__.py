"""From a ConsDB schema change to a verified migration, its approvals, release and deployment."""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Give ``__version__`` on demand; reading package metadata costs too much for ``--help``."""
    if name == "__version__":
        from importlib.metadata import version

        return version("consdb-actions")
    raise AttributeError(name)
