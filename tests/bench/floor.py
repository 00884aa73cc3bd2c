"""What nobody can be faster than: one server, and the SQL of every section through psql.

    python tests/bench/floor.py --tools DIR [SQL...]

Each file becomes a database of its own. Without files it is the start of a server alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from server import ROLES, SPOLY, plain_server  # type: ignore[import-not-found]


def main() -> int:
    """Start the server and run the SQL."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("sql", type=Path, nargs="*")
    arguments = parser.parse_args()
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with plain_server(arguments.tools, base) as server:
        server.psql("postgres", "".join(f"CREATE ROLE {role};" for role in ROLES))
        for number, path in enumerate(arguments.sql):
            server.psql("postgres", f"CREATE DATABASE d{number}")
            server.psql(f"d{number}", SPOLY + path.read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
