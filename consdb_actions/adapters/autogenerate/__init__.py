"""Run Alembic in this process: replay revisions, find operations, render a script."""
