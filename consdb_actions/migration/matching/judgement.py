"""What the evidence for a pair amounts to: a score for choosing, and whether a person should be asked.

The score chooses between candidates. It never renames anything: what is *likely* becomes a question.
"""

from __future__ import annotations

import math

from consdb_actions.migration.matching.evidence import Evidence

__all__ = ["LIKELY", "is_likely", "points", "score"]

LIKELY = 4
"""Points from which a careful reader would suspect a rename."""

_FITS = {"same": 6.0, "wider": 4.0, "narrower": 3.0, "converted": -5.0, "incompatible": -40.0}
_UNITS = {"same": 6.0, "differs": -8.0, "unknown": 0.0}
_UCDS = {"same": 4.0, "differs": -2.0, "unknown": 0.0}
_UNKNOWN_TEXT = 0.25


def score(evidence: Evidence, support: int) -> int:
    """Weigh a pair against its rivals, from 0 to 100."""
    text = _UNKNOWN_TEXT if evidence.text is None else evidence.text
    total = 40 * evidence.name + 30 * text + 8 * evidence.place
    total += _FITS[evidence.fit] + _UNITS[evidence.unit] + _UCDS[evidence.ucd]
    total += min(12.0, 4 * math.log2(max(support, 1)))
    if evidence.spelled:
        total += 10
    if evidence.contrast:
        total -= 40
    if evidence.text_contrast:
        total -= 10
    return max(0, min(100, round(total)))


def points(evidence: Evidence, support: int) -> int:
    """Count what a careful reader would: each kind of evidence gives few points, none is enough alone."""
    text = -1.0 if evidence.text is None else evidence.text
    total = _steps(evidence.name, 0.4, 0.6, 0.8) + _steps(text, 0.4, 0.6, 0.85)
    total += 3 if support >= 3 else 2 if support == 2 else 0
    total += {"same": 1, "differs": -2, "unknown": 0}[evidence.unit]
    total += (evidence.place >= 0.5) + (evidence.near and evidence.name >= 0.4)
    if 0 <= text < 0.1:
        total -= 1
    if evidence.fit == "converted":
        total -= 2
    if evidence.text_contrast:
        total -= 2
    return total


def is_likely(evidence: Evidence, support: int) -> bool:
    """Tell whether a careful reader would suspect that the one column is the other."""
    if evidence.fit == "incompatible":
        return False
    if evidence.spelled:
        return True
    text = evidence.text or 0.0
    if evidence.contrast:
        # Different quantities by name; only the very same description, which nothing else has, outweighs
        # that.
        return evidence.repeats == 1 and evidence.unit != "differs"
    if evidence.name < 0.4 and text < 0.4:
        return False
    return points(evidence, support) >= LIKELY


def _steps(value: float, *bounds: float) -> int:
    return sum(value >= bound for bound in bounds)
