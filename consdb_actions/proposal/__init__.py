"""Maintain one pull request per branch without overwriting people's work; pure."""

from __future__ import annotations

from consdb_actions.proposal.decide import decide, foreign_error, merged_body
from consdb_actions.proposal.model import (
    Action,
    BranchCommit,
    BranchFacts,
    BranchPull,
    CommitWrite,
    Foreign,
    Proposal,
    ProposalOutcome,
    ProposalPlan,
    blob_sha,
    is_ours,
    signed_message,
)

__all__ = [
    "Action",
    "BranchCommit",
    "BranchFacts",
    "Foreign",
    "ProposalOutcome",
    "ProposalPlan",
    "Proposal",
    "BranchPull",
    "CommitWrite",
    "blob_sha",
    "decide",
    "foreign_error",
    "is_ours",
    "merged_body",
    "signed_message",
]
