"""Read the JSON report of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consdb_actions.migration.outcome import Asked, Check, DriftItem, Operation, RunOutcome, SectionOutcome
from consdb_actions.migration.rewrite.plan import Loss, Risk

__all__ = ["outcome_from_json"]

Json = Mapping[str, Any]


def outcome_from_json(data: Json) -> RunOutcome:
    """Read a validated report of ``migrations generate --report``."""
    return RunOutcome(
        tuple(_section(section) for section in data["sections"]),
        data["message"],
        data["server"],
        data["spoly"],
        data["written"],
        tuple(data["notes"]),
        data["base"],
    )


def _section(data: Json) -> SectionOutcome:
    texts = (
        "name",
        "schema",
        "status",
        "version",
        "base_version",
        "path",
        "revision",
        "down_revision",
        "source",
    )
    words: dict[str, Any] = {
        name: tuple(data[name]) for name in ("decisions", "remembered", "notes", "present")
    }
    return SectionOutcome(
        **{name: data[name] for name in texts},
        **words,
        upgrade=tuple(Operation(**item) for item in data["upgrade"]),
        downgrade=tuple(Operation(**item) for item in data["downgrade"]),
        questions=tuple(_asked(item) for item in data["questions"]),
        risks=tuple(Risk(**item) for item in data["risks"]),
        losses=tuple(Loss(**item) for item in data["losses"]),
        drift=tuple(DriftItem(**item) for item in data["drift"]),
        checks=tuple(Check(**{**item, "details": tuple(item["details"])}) for item in data["checks"]),
    )


def _asked(data: Json) -> Asked:
    return Asked(
        data["words"],
        tuple(data["proposals"]),
        tuple((answer["meaning"], tuple(answer["options"])) for answer in data["answers"]),
        tuple(data["rejected"]),
        data["answered"],
    )
