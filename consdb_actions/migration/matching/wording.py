"""Evidence for and against a pair, in words."""

from __future__ import annotations

from collections.abc import Sequence

from consdb_actions.migration.matching.alignment import Substitution
from consdb_actions.migration.matching.evidence import Evidence

__all__ = ["against", "in_favour", "listed", "number", "replaced"]

_FEW = 4


def in_favour(evidence: Evidence, support: int) -> tuple[str, ...]:
    """List what speaks for a pair."""
    found: list[str] = []
    if evidence.spelled:
        found.append("the names differ only in case and underscores")
    elif support > 1 and evidence.shared:
        change = replaced(evidence.substitutions, evidence.old.name, evidence.new.name)
        found.append(f"{change}, as in {number(support - 1, 'other pair')}")
    elif evidence.name >= 0.4:
        found.append(f"the names share {_words(evidence.shared)}")
    if evidence.follows:
        found.append("the descriptions differ just as the names do")
    elif evidence.repeats == 1:
        found.append("the descriptions are the same")
    elif evidence.repeats > 1:
        found.append(f"the descriptions are the same, as in {evidence.repeats} columns of this table")
    elif evidence.text is not None and evidence.text >= 0.4:
        found.append("the descriptions are alike")
    if evidence.unit == "same":
        found.append(f"the same unit ({evidence.new.unit})")
    if evidence.fit == "same":
        found.append(f"the same type ({evidence.new.type})")
    elif evidence.fit in ("wider", "narrower"):
        found.append(f"a type of the same family ({evidence.old.type}, now {evidence.new.type})")
    if evidence.place >= 0.5:
        found.append("the same place among the columns")
    return tuple(found)


def against(evidence: Evidence) -> tuple[str, ...]:
    """List what speaks against a pair."""
    found: list[str] = []
    if evidence.fit in ("incompatible", "converted"):
        found.append(f"the type is another one ({evidence.old.type}, not {evidence.new.type})")
    if evidence.contrast:
        found.append(_opposites(evidence.contrast))
    if evidence.unit == "differs":
        found.append(f"the unit is another one ({evidence.old.unit}, not {evidence.new.unit})")
    if evidence.ucd == "differs":
        found.append(f"the UCD is another one ({evidence.old.ucd}, not {evidence.new.ucd})")
    if evidence.text_contrast:
        found.append(f"in the descriptions, {_opposites(evidence.text_contrast)}")
    if evidence.name < 0.4:
        shared = f"share only {_words(evidence.shared)}" if evidence.shared else "share no word"
        found.append(f"the names {shared}")
    if evidence.text is not None and evidence.text < 0.6:
        found.append("the descriptions speak of other things")
    return tuple(found) or ("too little speaks for it",)


def replaced(substitutions: Sequence[Substitution], old: str = "", new: str = "") -> str:
    """Say what a change of name replaces; the names, when given, show how their words are joined."""
    parts: list[str] = []
    for gone, come in substitutions:
        before, after = _joined(gone, old), _joined(come, new)
        if not gone:
            parts.append(f"`{after}` comes in")
        elif not come:
            parts.append(f"`{before}` goes")
        else:
            parts.append(f"`{before}` becomes `{after}`")
    return listed(parts)


def _joined(words: Sequence[str], name: str) -> str:
    text = ""
    for word in words:
        text = f"{text}{word}" if not text or f"{text}{word}" in name.casefold() else f"{text}_{word}"
    return text


def listed(parts: Sequence[str], most: int = 0) -> str:
    """Join parts with commas and an ``and``; at most ``most`` of them, when given."""
    shown = list(parts[:most] if most else parts)
    if len(shown) < len(parts):
        return f"{', '.join(shown)} and {len(parts) - len(shown)} more"
    return " and ".join(part for part in (", ".join(shown[:-1]), *shown[-1:]) if part)


def number(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _words(words: Sequence[str]) -> str:
    return listed([f"`{word}`" for word in dict.fromkeys(words)], _FEW)


def _opposites(pair: tuple[str, str]) -> str:
    return f"`{pair[0]}` and `{pair[1]}` are different quantities"
