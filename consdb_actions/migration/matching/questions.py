"""Choose pairs, and ask about what is not certain."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from consdb_actions.migration.matching.decisions import (
    Answer,
    MatchingQuestion,
    RejectedCandidate,
    RenameProposal,
)
from consdb_actions.migration.matching.score import ColumnLink, replaced
from consdb_actions.migration.matching.similarity import NameEdits, listed, number

_BEST = 3
"""How many candidates a question about one column offers."""
_FEW = 4
_FULL = 100


def assign(weights: Mapping[tuple[str, str], int]) -> dict[str, str]:
    """Choose pairs so that no row and no column is used twice and the total weight is greatest.

    Rows may stay alone: only positive weights are ever chosen.
    """
    edges: dict[str, dict[str, int]] = {}
    for (row, column), weight in sorted(weights.items()):
        if weight > 0:
            edges.setdefault(row, {})[column] = weight
    price: dict[str, int] = {}
    owner: dict[str, str] = {}
    chosen: dict[str, str] = {}
    for start in edges:
        # Shortest path, by what it costs to hand columns on, to a free column or to a row left alone ("").
        heap: list[tuple[int, bool, str, int, str]] = []
        reached: dict[str, tuple[int, str]] = {}
        row, cost = start, 0
        while True:
            worth = max(0, *(weight - price.get(column, 0) for column, weight in edges[row].items()))
            heapq.heappush(heap, (cost + worth, False, "", len(reached), row))
            for column, weight in edges[row].items():
                if column not in reached:
                    step = worth - weight + price.get(column, 0)
                    heapq.heappush(heap, (cost + step, column in owner, column, len(reached), row))
            cost, _, column, _, row = heapq.heappop(heap)
            while column in reached:
                cost, _, column, _, row = heapq.heappop(heap)
            if column not in owner:
                break
            reached[column] = cost, row
            row = owner[column]
        for other, (reached_at, _) in reached.items():
            price[other] = price.get(other, 0) + cost - reached_at
        while True:
            previous = chosen.pop(row, "")
            if column:
                chosen[row], owner[column] = column, row
            if row == start:
                break
            column, row = previous, reached[previous][1]
    return chosen


def groups_of(items: Iterable[tuple[int, Iterable[Hashable]]]) -> list[list[int]]:
    """Group numbers that share a sign, directly or through others, in their order."""
    parent: dict[int, int] = {}
    first: dict[Hashable, int] = {}

    def root(at: int) -> int:
        while parent[at] != at:
            at = parent[at]
        return at

    for at, signs in items:
        parent[at] = at
        for sign in signs:
            one, other = sorted((root(first.setdefault(sign, at)), root(at)))
            parent[other] = one
    found: dict[int, list[int]] = defaultdict(list)
    for at in parent:
        found[root(at)].append(at)
    return list(found.values())


def shift(key: NameEdits) -> tuple[int, NameEdits] | None:
    """Return by how much the only number that changes in a name moves, and what else changes."""
    numbers = [at for at, (gone, come) in enumerate(key) if gone.isdecimal() and come.isdecimal()]
    if len(numbers) != 1:
        return None
    at = numbers[0]
    return int(key[at][1]) - int(key[at][0]), key[:at] + key[at + 1 :]


def _choose(links: Sequence[ColumnLink]) -> frozenset[ColumnLink]:
    """Choose the pairs that fit best; of equal ones, those of the shift that explains most columns."""
    possible = {(link.old.path, link.new.path): link for link in links if not link.obstacle}
    shifts = Counter(shift(link.key) for link in possible.values())
    weights = {
        pair: 10 * link.score + round(10 * math.log2(shifts[found]) if (found := shift(link.key)) else 0)
        for pair, link in possible.items()
    }
    return frozenset(possible[pair] for pair in assign(weights).items())


@dataclass(frozen=True)
class LinkGroup:
    """Links that share columns or names, and the pairs chosen among them."""

    links: tuple[ColumnLink, ...]
    chosen: tuple[ColumnLink, ...]

    @cached_property
    def choices(self) -> tuple[ColumnLink, ...]:
        """The three best pairs where one column has several, the proposed one first."""
        possible = [link for link in self.links if not link.obstacle]
        if len(possible) < 2 or min(len({end(k) for k in possible}) for end in (_old, _new)) != 1:
            return ()
        best = self.chosen[0]
        return tuple(sorted(possible, key=lambda k: (k is not best, -k.score, k.declaration))[:_BEST])


def _old(link: ColumnLink) -> str:
    return link.old.path


def _new(link: ColumnLink) -> str:
    return link.new.path


def group(links: Iterable[ColumnLink]) -> list[tuple[LinkGroup, ...]]:
    """Split links into questions.

    Parts that one change of name explains, or that are moves between the same two tables, are one question; a
    part with a choice to make is only joined to the same choice in another table.
    """
    ordered = sorted(
        links,
        key=lambda k: (k.old.table, k.old.position, k.old.name, k.new.table, k.new.position, k.new.name),
    )
    chosen = _choose(ordered)
    components = groups_of((at, _ends(link)) for at, link in enumerate(ordered))
    found = [tuple(ordered[at] for at in part) for part in components]
    parts = [LinkGroup(part, tuple(link for link in part if link in chosen)) for part in found]
    return [
        tuple(parts[at] for at in members)
        for members in groups_of((at, _signs(part)) for at, part in enumerate(parts))
    ]


def _ends(link: ColumnLink) -> list[str]:
    """Return the columns, and the names on both sides, that a link decides about."""
    ends = [f"-{link.old.path}", f"+{link.new.path}"]
    ends += [f"+{link.new.table}.{link.old.name}"] * link.old_stays
    return ends + [f"-{link.old.table}.{link.new.name}"] * link.new_stays


def _signs(part: LinkGroup) -> set[Hashable]:
    """Return what a part has in common with others that belong to the same question."""
    if not part.chosen:
        return {("impossible", link.old.table, link.new.table) for link in part.links}
    if part.choices:
        return {("choice", *sorted(map(_names, part.choices)))}
    found: set[Hashable] = set()
    for link in part.chosen:
        if link.move:
            found.add(("move", link.old.table, link.new.table))
        elif not (link.old_stays or link.new_stays):
            found.add(("shift", shift(link.key)) if shift(link.key) else ("key", link.key))
    return found


def question(parts: Sequence[LinkGroup], weaker: Sequence[RejectedCandidate] = ()) -> MatchingQuestion:
    """Make one question of parts that belong together."""
    links = [link for part in parts for link in part.links]
    chosen = [link for part in parts for link in part.chosen]
    return MatchingQuestion(
        text=_text(parts, chosen),
        proposals=tuple(proposal(link) for part in parts for link in part.chosen),
        answers=_answers(parts),
        rejected=(*_rejected(parts), *weaker),
        columns=tuple(dict.fromkeys(map(_old, links))),
        targets=tuple(dict.fromkeys(map(_new, links))),
    )


def _answers(parts: Sequence[LinkGroup]) -> tuple[Answer, ...]:
    """List the answers: the proposal or the best candidates, copies, and that nothing is renamed."""
    chosen = [link for part in parts for link in part.chosen]
    choices = [
        [link for part in parts for link in part.choices if _names(link) == _names(choice)]
        for choice in parts[0].choices
    ] or [chosen] * bool(chosen)
    answers = [Answer(_meaning(links), lines(parts, links)) for links in choices]
    copies = [link for link in parts[0].links if link.move and not link.obstacle]
    if len(choices) > 1 and len(parts) == 1 and len(set(map(_old, copies))) == 1:
        where = listed([f"`{link.new.table}`" for link in copies])
        copied = tuple(link.declaration for link in copies)
        answers.append(Answer(f"the values are copied to {where}", copied))
    answers.append(Answer(_none(parts), lines(parts, [])))
    return tuple(answers)


def lines(parts: Sequence[LinkGroup], chosen: Sequence[ColumnLink]) -> tuple[str, ...]:
    """Return the declarations that say what becomes of every column of some parts."""
    links = [link for part in parts for link in part.links]
    by_old = {link.old.path: link for link in chosen}
    claimed = set(map(_new, chosen))
    found: list[str] = []
    stays = {link.old.path for link in links if link.old_stays}
    tables = {link.old.table: link.new.table for link in links if not link.move}
    for old in dict.fromkeys(link.old for link in links):
        if old.path in by_old:
            found.append(by_old[old.path].declaration)
        elif old.path in stays and f"{tables[old.table]}.{old.name}" not in claimed:
            found.append(f"{old.path}={old.name}")
        else:
            found.append(f"{old.path}=")
    known = set(map(_old, links))
    # A column that keeps its name, but not its values.
    kept = [f"{link.old.table}.{link.new.name}" for link in chosen if link.new_stays]
    return (*found, *(f"{path}=" for path in kept if path not in known))


def _names(link: ColumnLink) -> tuple[str, str]:
    """Return what makes two links the same choice: a rename in another table, or the very same move."""
    return (link.old.path, link.new.path) if link.move else (link.old.name, link.new.name)


def _meaning(chosen: Sequence[ColumnLink]) -> str:
    move = all(link.move for link in chosen)
    if len(chosen) == 1:
        target = chosen[0].new.path if move else chosen[0].new.name
        return f"`{chosen[0].old.path}` {'moves' if move else 'is renamed'} to `{target}`"
    return f"these {len(chosen)} columns {'move' if move else 'are renamed'}"


def _none(parts: Sequence[LinkGroup]) -> str:
    links = [link for part in parts for link in part.links]
    dropped = list(dict.fromkeys(link.old.path for link in links if not link.old_stays))
    stays = list(dict.fromkeys(link.old.path for link in links if link.old_stays))
    found = [f"{_quoted(stays)} {'stays' if len(stays) == 1 else 'stay'} as named"] if stays else []
    if dropped:
        names = _quoted(dropped) if len(dropped) <= _FEW else "all of these columns"
        found.append(f"{names} {'is' if len(dropped) == 1 else 'are'} dropped and the values lost")
    return ", ".join(found)


def proposal(link: ColumnLink) -> RenameProposal:
    """Return a pair with its evidence; what counts for a move is the key, and for an id its proof."""
    score = None if link.move or link.score > _FULL else link.score
    return RenameProposal(link.old.path, link.new.path, link.evidence, score)


def _rejected(parts: Sequence[LinkGroup]) -> tuple[RejectedCandidate, ...]:
    """List the links that are not offered; in a large question, what they would replace in the names."""
    found: list[RejectedCandidate] = []
    patterns: dict[str, list[int]] = defaultdict(list)
    large = sum(len(part.chosen) for part in parts) > _FEW
    for part in parts:
        for link in part.links:
            if link in part.chosen or link in part.choices:
                continue
            if link.key and large:
                patterns[replaced(link.key)].append(link.score)
            elif link.obstacle or not part.chosen:
                found.append(RejectedCandidate(link.old.path, link.new.path, "; ".join(link.evidence)))
            else:
                found.append(
                    RejectedCandidate(link.old.path, link.new.path, f"a weaker fit (score {link.score})")
                )
    for change, scores in patterns.items():
        pairs = number(len(scores), "pair")
        reason = f"it would explain {pairs}, each a weaker fit (scores up to {max(scores)})"
        found.append(RejectedCandidate("", change, reason))
    return tuple(found)


def _text(parts: Sequence[LinkGroup], chosen: Sequence[ColumnLink]) -> str:
    links = [link for part in parts for link in part.links]
    olds, news = (list(dict.fromkeys(map(end, links))) for end in (_old, _new))
    if not chosen:
        why = links[0].obstacle
        return (
            f"This change drops {_quoted(olds)} and adds {_quoted(news)}, but {why}. May the values be lost?"
        )
    if parts[0].choices:
        if len({link.old.path for link in parts[0].links}) == 1:
            return f"This change drops {_quoted(olds)}. Which of {_quoted(news)} is its new name?"
        return f"Which of {_quoted(olds)} was renamed to {_quoted(news)}?"
    first = chosen[0]
    if all(link.move for link in chosen):
        if len(chosen) == 1:
            return f"Did `{first.old.path}` move to `{first.new.path}`?"
        return f"Did these {len(chosen)} columns move from `{first.old.table}` to `{first.new.table}`?"
    if len(chosen) == 1:
        return f"Is `{first.new.path}` the old `{first.old.path}` under another name?"
    tables = Counter(link.old.table for link in chosen)
    if len(set(map(_names, chosen))) == 1:
        where = listed([f"`{table}`" for table in tables])
        return f"Is `{first.new.name}` the old `{first.old.name}` under another name, in {where}?"
    where = listed([f"{number(count, 'column')} of `{table}`" for table, count in tables.items()])
    changes = list(dict.fromkeys(replaced(link.key) for link in chosen if link.key))
    how = f" In their names, {listed(changes, _FEW)}." if changes else ""
    return f"Are {where} renamed?{how}"


def _quoted(paths: Sequence[str]) -> str:
    return listed([f"`{path}`" for path in paths], _FEW)
