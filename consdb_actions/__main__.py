"""``python -m consdb_actions`` and the console script."""

from __future__ import annotations

import sys

from consdb_actions.cli import main

__all__ = ["run"]


def run() -> None:
    """Run the command line and exit with its code."""
    sys.exit(main())


if __name__ == "__main__":
    run()
