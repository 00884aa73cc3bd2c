"""Publish a generated migration in its repository. Pure.

Inputs are a schema change (`source`, `naming`) and the files of a generating job (`result`, `revision_file`);
`plan` and `marker` decide what is proposed and keep people's edits.
"""

from __future__ import annotations
