"""The program, with the files of its scratch servers below TMPDIR, where tests find them."""

from __future__ import annotations

import sys
from pathlib import Path

from consdb_actions.adapters import postgres_server
from consdb_actions.cli import main

postgres_server._MEMORY = Path("/nonexistent")

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
