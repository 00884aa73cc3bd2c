"""The way without this project: for each section a server of its own and two `alembic` commands.

    python tests/bench/peer.py --tools DIR --tree DIR --schemas DIR SECTION...

It does what consdb's own generator does, with the same tools: a server in the temporary directory,
`alembic upgrade head`, and `alembic revision --autogenerate`. It proves nothing, and writes into the tree.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from server import ROLES, SPOLY, plain_server  # type: ignore[import-not-found]


def main() -> int:
    """Generate each section in turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--schemas", type=Path, required=True)
    parser.add_argument("sections", nargs="+")
    arguments = parser.parse_args()
    for section in arguments.sections:
        schema = section if section.startswith("efd_") else f"cdb_{section}"
        with plain_server(arguments.tools) as server:
            sql = SPOLY + "".join(f"CREATE ROLE {role};" for role in ROLES)
            server.psql(
                "postgres", f"{sql} CREATE SCHEMA {schema.partition('_')[0]}; CREATE SCHEMA {schema};"
            )
            variables = {
                **os.environ,
                "CONSDB_URL": server.url("postgres"),
                "SDM_SCHEMAS_DIR": str(arguments.schemas),
            }
            for words in (["upgrade", "head"], ["revision", "--autogenerate", "-m", "bench"]):
                subprocess.run(
                    [sys.executable, "-m", "alembic", "-n", section, *words],
                    cwd=arguments.tree,
                    env=variables,
                    capture_output=True,
                    check=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
