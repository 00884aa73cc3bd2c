"""Run alembic for ``migrations apply``; a standalone program, started by its path.

Unlike ``python -m alembic``, it ends with its parent process, so that nothing commits without that (rule O6),
and begins every transaction with the statement in ``CONSDB_ACTIONS_BEGIN``, which takes all locks (rule O3).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_LOOK = 0.1  # seconds between two checks of the parent, if the kernel sends no signal

_PARENT = "CONSDB_ACTIONS_PARENT"
_BEGIN = "CONSDB_ACTIONS_BEGIN"

# Where supported, the server ends a statement of a client that is gone.
_NOTICE_OUR_END = """DO $$ BEGIN PERFORM set_config('client_connection_check_interval', '500', false);
EXCEPTION WHEN OTHERS THEN NULL; END $$"""


def end_with(parent: int) -> None:
    """End this process as soon as its parent has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        os._exit(1)

    # The parent may have ended before the signal was requested.
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=look, name="parent", daemon=True).start()


def begin_with(statement: str) -> None:
    """Begin every transaction with a statement."""
    import sqlalchemy as sa
    from sqlalchemy.engine import Engine

    holding: list[sa.Connection] = []

    def begin(connection: sa.Connection) -> None:
        driver = connection.connection.dbapi_connection
        # A second connection of the same env.py would wait for the first one.
        if driver is None or holding or driver.autocommit:
            return
        cursor = driver.cursor()
        cursor.execute(_NOTICE_OUR_END)
        if statement:
            # The whole wait for locks is one statement, with its own limit.
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute(statement)
            cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
        cursor.close()
        holding.append(connection)

    def ended(connection: sa.Connection) -> None:
        if connection in holding:
            holding.clear()

    sa.event.listen(Engine, "begin", begin)
    sa.event.listen(Engine, "commit", ended)
    sa.event.listen(Engine, "rollback", ended)


def main() -> None:
    """Run the command line of alembic."""
    end_with(int(os.environ.pop(_PARENT)))
    begin_with(os.environ.pop(_BEGIN, ""))
    # As with `python -m`, modules are imported from the current directory, not beside this file.
    sys.path[0] = str(os.getcwd())  # noqa: PTH109
    from alembic.config import main as alembic

    alembic(prog="alembic")


if __name__ == "__main__":
    main()
