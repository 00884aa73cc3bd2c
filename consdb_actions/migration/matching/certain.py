"""Renames that an id or the case alone proves, and pairs where such a proof is contradicted.

An ``@id`` proves a rename when it is unique on both sides, the one column that had it is gone, the one that
has it now is new, the types fit, and no other proof says otherwise. A name that differs only in case proves
one on the same terms. A proof that fails these terms is evidence for a question.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from consdb_actions.migration.matching.decisions import ColumnRename, Kind
from consdb_actions.migration.matching.evidence import TablePair
from consdb_actions.migration.matching.facts import ColumnFacts, TableFacts
from consdb_actions.migration.matching.links import Link
from consdb_actions.migration.matching.types import type_fit
from consdb_actions.migration.matching.words import fold

__all__ = ["proofs"]

_WEIGHT = 200
"""A proof that is contradicted still weighs more than any likeness."""

_UNLIKE = 0.4


@dataclass(frozen=True)
class _Proof:
    old: ColumnFacts
    new: ColumnFacts
    kind: Kind
    evidence: str


def proofs(
    pair: TablePair, settled_old: Collection[str], settled_new: Collection[str]
) -> tuple[tuple[ColumnRename, ...], tuple[Link, ...]]:
    """Find what ids and case say about a table."""
    found = [
        proof
        for proof in (*_same_ids(pair), *_same_folds(pair))
        if proof.old.name not in settled_old and proof.new.name not in settled_new
    ]
    pairs = {(proof.old.name, proof.new.name) for proof in found}
    degree = Counter(node for old, new in pairs for node in (("old", old), ("new", new)))
    kept_folds = {fold(name) for name in pair.kept}
    renames: dict[str, ColumnRename] = {}
    doubtful: dict[tuple[str, str], Link] = {}
    for proof in found:
        old, new = proof.old.name, proof.new.name
        doubt = ""
        if old in pair.kept or new in pair.kept:
            stays = old if old in pair.kept else new
            doubt = f"but a column `{stays}` is there before and after"
        elif degree["old", old] > 1 or degree["new", new] > 1:
            doubt = "but another pair has as good a claim"
        elif proof.kind == "case only" and fold(old) in kept_folds:
            doubt = "but a third column has such a name as well"
        elif type_fit(proof.old.type, proof.new.type) == "incompatible":
            doubt = f"but the type changes from {proof.old.type} to {proof.new.type}"
        elif proof.kind == "same id" and (found_doubt := _contradiction(pair, proof)):
            doubt = f"but {found_doubt}"
        if not doubt:
            # An id is named before the case when both prove the pair.
            renames.setdefault(
                old, ColumnRename(pair.before.name, old, new, pair.after.name, proof.kind, proof.evidence)
            )
        else:
            doubtful.setdefault(
                (old, new),
                Link(
                    proof.old,
                    proof.new,
                    _WEIGHT,
                    (f"{proof.evidence}, {doubt}",),
                    old_stays=old in pair.kept,
                    new_stays=new in pair.kept,
                ),
            )
    return tuple(renames.values()), tuple(doubtful.values())


def _contradiction(pair: TablePair, proof: _Proof) -> str:
    """Say what makes a carried-over id look like one that was left behind by mistake."""
    evidence = pair.compare(proof.old, proof.new)
    unlike = evidence.name < _UNLIKE and evidence.text is not None and evidence.text < _UNLIKE
    if evidence.unit == "differs" and unlike:
        return "name, description and unit are all other ones"
    return ""


def _same_ids(pair: TablePair) -> Iterator[_Proof]:
    """Yield the columns whose unique id stands on a column of another name after the change."""
    before, after = _by_id(pair.before), _by_id(pair.after)
    for identifier, old in before.items():
        new = after.get(identifier)
        if new is not None and new.name != old.name:
            yield _Proof(old, new, "same id", f"both have the id `{identifier}`")


def _by_id(table: TableFacts) -> dict[str, ColumnFacts]:
    counts = Counter(column.id for column in table.columns)
    return {column.id: column for column in table.columns if column.id and counts[column.id] == 1}


def _same_folds(pair: TablePair) -> Iterator[_Proof]:
    """Yield the columns that are gone and new, and whose names differ only in case."""
    news: dict[str, list[ColumnFacts]] = defaultdict(list)
    for column in pair.added:
        news[fold(column.name)].append(column)
    for old in pair.dropped:
        for new in news.get(fold(old.name), ()):
            yield _Proof(old, new, "case only", "the names differ only in case")
