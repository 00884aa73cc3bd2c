"""Pure: one pull request for one branch, made and kept up to date without ever undoing a person's work.

`decide` looks at what GitHub shows of a branch and says what is to be done; `adapters.github.proposals` reads
the facts and acts.
"""

from __future__ import annotations

from consdb_actions.proposal.body import merged_body
from consdb_actions.proposal.decide import decide
from consdb_actions.proposal.difference import foreign_error
from consdb_actions.proposal.model import (
    Action,
    BranchCommit,
    Facts,
    Foreign,
    Outcome,
    Plan,
    Proposal,
    Pull,
    Write,
    blob_sha,
    is_ours,
    signed_message,
)

__all__ = [
    "Action",
    "BranchCommit",
    "Facts",
    "Foreign",
    "Outcome",
    "Plan",
    "Proposal",
    "Pull",
    "Write",
    "blob_sha",
    "decide",
    "foreign_error",
    "is_ours",
    "merged_body",
    "signed_message",
]
