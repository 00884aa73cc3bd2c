"""Pure: a generated migration on its way to the repository of migrations.

Which schema change is meant and what it asks for (`source`, `naming`); what a generating job may hand over
(`result`, `revision_file`); what is proposed, and what becomes of people's edits (`plan`, `marker`).
"""

from __future__ import annotations
