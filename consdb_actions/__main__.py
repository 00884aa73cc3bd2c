"""``python -m consdb_actions`` and the console script."""

from __future__ import annotations

import gc
import sys

from consdb_actions.cli import main

__all__ = ["run"]


def run() -> None:
    """Run the command line and exit with its code."""
    code = main()
    # What is left goes with the process; to search it for cycles first would take a third of a second.
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    run()
