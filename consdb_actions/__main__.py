"""``python -m consdb_actions`` and the console script."""

from __future__ import annotations

import gc
import os
import sys

from consdb_actions.cli import main
from consdb_actions.errors import ExternalError

__all__ = ["run"]


def run() -> None:
    """Run the command line and exit with its code."""
    # Most objects come from imports and schema files, and live to the end: searching them costs 5 %.
    gc.set_threshold(50_000, 20, 50)
    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            # Python would try again while it ends, and exit with a code of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            code = code or ExternalError.exit_code
    # What is left goes with the process; to search it for cycles first would take a third of a second.
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    run()
