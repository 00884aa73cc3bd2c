"""Maintain one pull request per branch without overwriting people's work; pure."""

from __future__ import annotations

from consdb_actions.proposal.decide import decide, foreign_error, merged_body
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
