"""Alembic asks each section for an environment; all have the one that is beside their folders."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).resolve().parents[1] / "env.py"))
