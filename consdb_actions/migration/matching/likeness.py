"""Likely pairs within the tables that stay, by likeness of the columns."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from consdb_actions.migration.matching.candidates import candidates
from consdb_actions.migration.matching.decisions import Rejected
from consdb_actions.migration.matching.declared import Column
from consdb_actions.migration.matching.evidence import Evidence, TablePair
from consdb_actions.migration.matching.judgement import is_likely, score
from consdb_actions.migration.matching.links import Key, Link
from consdb_actions.migration.matching.wording import against, in_favour, replaced

__all__ = ["Likeness"]

_SHOWN = 2
_WORTH_SHOWING = 30
_OUTCLASSED = 25
"""A candidate that is so much weaker than the column's best one is not asked about."""


class Likeness:
    """All comparisons of one schema's columns.

    They are made once for all pairs that no proof settles, whatever has been declared: an answer thus never
    raises a new question.

    Parameters
    ----------
    pairs
        The tables before and after.
    proved
        Renames that a proof settles: new name by old name, by the table's name before.
    """

    def __init__(self, pairs: Sequence[TablePair], proved: Mapping[str, Mapping[str, str]]) -> None:
        self._found: dict[Column, list[Evidence]] = defaultdict(list)
        seen: set[tuple[str, str]] = set()
        self._support: Counter[Key] = Counter()
        for pair in pairs:
            here = proved.get(pair.before.name, {})
            pair.anchor(here)
            for old, new in candidates(pair, frozenset(here), frozenset(here.values())):
                evidence = pair.compare(old, new)
                self._found[old.table, old.name].append(evidence)
                # The same two names in a second table are no second case.
                if (old.name, new.name) not in seen and _counts(evidence):
                    seen.add((old.name, new.name))
                    self._support[evidence.substitutions] += 1
        self.comparisons = sum(pair.comparisons for pair in pairs)

    def links(self, settled_old: Collection[Column], settled_new: Collection[Column]) -> list[Link]:
        """Return the likely pairs of columns that are not settled."""
        found: list[Link] = []
        for column, evidences in self._found.items():
            if column in settled_old:
                continue
            links = [
                self._link(evidence)
                for evidence in evidences
                if (evidence.new.table, evidence.new.name) not in settled_new
                and is_likely(evidence, self.support(evidence))
            ]
            best = max((link.score for link in links), default=0)
            found += [link for link in links if link.score >= best - _OUTCLASSED]
        return found

    def _link(self, evidence: Evidence) -> Link:
        support = self.support(evidence)
        change = replaced(evidence.substitutions, evidence.old.name, evidence.new.name)
        value = max(1, score(evidence, support))
        favour = in_favour(evidence, support)
        return Link(evidence.old, evidence.new, value, favour, evidence.substitutions, change)

    def rejected(self, column: Column, taken: Mapping[Column, str]) -> tuple[Rejected, ...]:
        """Return the candidates of a column that are unlikely or taken, with the reason."""
        ranked = sorted(
            (
                (-score(e, self.support(e)), e.new.position, e.new.name, e)
                for e in self._found.get(column, ())
            ),
            key=lambda item: item[:3],
        )
        found: list[Rejected] = []
        for negative, _, _, evidence in ranked:
            new = (evidence.new.table, evidence.new.name)
            likely = is_likely(evidence, self.support(evidence))
            if likely and new not in taken:
                continue
            if -negative >= _WORTH_SHOWING or evidence.place == 1 or likely:
                reasons = (f"{taken[new]}",) if likely else against(evidence)
                found.append(Rejected(evidence.old.path, evidence.new.path, "; ".join(reasons)))
        return tuple(found[:_SHOWN])

    def support(self, evidence: Evidence) -> int:
        """Return how many pairs of names the same change of name explains, this one included."""
        return max(1, self._support[evidence.substitutions]) if _counts(evidence) else 1


def _counts(evidence: Evidence) -> bool:
    """Tell whether a pair can stand for a change of name that explains several pairs."""
    return bool(
        evidence.substitutions
        and evidence.shared
        and not evidence.contrast
        and evidence.fit != "incompatible"
    )
