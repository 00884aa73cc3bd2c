"""Choose pairs, and ask about what is not certain."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from consdb_actions.migration.matching.candidates import ColumnLink, Key, components
from consdb_actions.migration.matching.decisions import Answer, MatchingQuestion, Rejected, RenameProposal
from consdb_actions.migration.matching.evidence import listed, number

__all__ = ["LinkGroup", "assign", "choose", "group", "lines", "proposal", "question", "shift"]


def assign(weights: Mapping[tuple[str, str], int]) -> dict[str, str]:
    """Choose pairs so that no row and no column is used twice and the total weight is greatest.

    Rows may stay without a column: only positive weights are ever chosen.
    """
    edges: dict[str, list[tuple[str, int]]] = {}
    for (row, column), weight in sorted(weights.items()):
        if weight > 0:
            edges.setdefault(row, []).append((column, weight))
    top = max((weight for found in edges.values() for _, weight in found), default=0)
    potential: dict[str, int] = {}
    owner: dict[str, str] = {}
    chosen: dict[str, str] = {}
    for row in edges:
        _augment(row, edges, top, potential, owner, chosen)
    return chosen


_ALONE = ""

"""Stands for staying without a column; every row has one of its own, at no weight."""


def _augment(
    start: str,
    edges: Mapping[str, list[tuple[str, int]]],
    top: int,
    potential: dict[str, int],
    owner: dict[str, str],
    chosen: dict[str, str],
) -> None:
    """Give one more row a column, moving others where that serves the total.

    Costs are ``top - weight``, thus never negative; ``potential`` holds the dual value of each column.
    """
    distance: dict[str, int] = {}
    came_from: dict[str, str] = {}
    done: set[str] = set()
    heap: list[tuple[int, int, str]] = []
    row, base = start, 0
    best_end, best_row = None, start
    while True:
        # Leaving this row alone ends the path here.
        alone = base + top - _dual(row, edges, top, potential)
        if best_end is None or alone < best_end:
            best_end, best_row = alone, row
        for column, weight in edges[row]:
            reduced = base + (top - weight) - potential.get(column, 0) - _dual(row, edges, top, potential)
            if column not in distance or reduced < distance[column]:
                distance[column], came_from[column] = reduced, row
                heapq.heappush(heap, (reduced, column in owner, column))
        while heap and (heap[0][2] in done or heap[0][0] > distance[heap[0][2]]):
            heapq.heappop(heap)
        if not heap or heap[0][0] >= best_end:
            end_column, total = _ALONE, best_end
            break
        base, _, column = heapq.heappop(heap)
        if column not in owner:
            end_column, total = column, base
            break
        done.add(column)
        row = owner[column]
    for column in done:
        potential[column] = potential.get(column, 0) + distance[column] - total
    _flip(
        start,
        best_row if end_column == _ALONE else came_from[end_column],
        end_column,
        came_from,
        owner,
        chosen,
    )


def _dual(
    row: str, edges: Mapping[str, list[tuple[str, int]]], top: int, potential: Mapping[str, int]
) -> int:
    return min(top, *((top - weight) - potential.get(column, 0) for column, weight in edges[row]))


def _flip(
    start: str,
    row: str,
    column: str,
    came_from: Mapping[str, str],
    owner: dict[str, str],
    chosen: dict[str, str],
) -> None:
    """Walk back from the end of the path to its start and hand every column on the way to its new row."""
    while True:
        previous = chosen.pop(row, _ALONE)
        if column != _ALONE:
            chosen[row] = column
            owner[column] = row
        if row == start:
            return
        column, row = previous, came_from[previous]


Shift = tuple[int, Key]

_ROUNDS = 4

_SEEDS = 6

_SCALE = 10

_BONUS = 30

_MOST = 150


def choose(links: Sequence[ColumnLink]) -> tuple[ColumnLink, ...]:
    """Choose the pairs that fit best together."""
    possible = {(link.old.path, link.new.path): link for link in links if link.possible}
    best = _settle(possible, {})
    shifts = Counter(found for link in possible.values() if (found := shift(link.key)) is not None)
    # The choice that is best pair by pair may hide a consistent one: try each frequent shift as well.
    for seed in sorted((s for s in shifts if shifts[s] > 1), key=lambda s: (-shifts[s], abs(s[0]), s))[
        :_SEEDS
    ]:
        start = _bonus(possible, best)
        start |= {pair: _MOST for pair, link in possible.items() if shift(link.key) == seed}
        choice = _settle(possible, start)
        if _total(possible, choice) > _total(possible, best):
            best = choice
    return tuple(possible[pair] for pair in sorted(best.items(), key=lambda pair: _order(possible[pair])))


_Pairs = Mapping[tuple[str, str], ColumnLink]


def _settle(possible: _Pairs, bonus: dict[tuple[str, str], int]) -> dict[str, str]:
    """Choose until the choice and the bonus for what it has in common agree."""
    chosen: dict[str, str] = {}
    for _ in range(_ROUNDS):
        again = assign({pair: _SCALE * link.score + bonus.get(pair, 0) for pair, link in possible.items()})
        if again == chosen:
            break
        chosen = again
        bonus = _bonus(possible, chosen)
    return chosen


def _bonus(possible: _Pairs, chosen: Mapping[str, str]) -> dict[tuple[str, str], int]:
    """Say what each pair is worth on top, given how many of the chosen ones change in the same way."""
    taken = [possible[pair] for pair in chosen.items()]
    keys = Counter(link.key for link in taken if link.key)
    shifts = Counter(found for link in taken if (found := shift(link.key)) is not None)
    return {
        pair: (_worth(keys[link.key]) if link.key else 0)
        + (_worth(shifts[found]) if (found := shift(link.key)) is not None else 0)
        for pair, link in possible.items()
    }


def _total(possible: _Pairs, chosen: Mapping[str, str]) -> int:
    bonus = _bonus(possible, chosen)
    return sum(_SCALE * possible[pair].score + bonus[pair] for pair in chosen.items())


@lru_cache(maxsize=16384)
def shift(key: Key) -> Shift | None:
    """Return by how much the only number that changes in a name moves, and what else changes."""
    numbers = [
        at
        for at, (gone, come) in enumerate(key)
        if len(gone) == len(come) == 1 and gone[0].isdigit() and come[0].isdigit()
    ]
    if len(numbers) != 1:
        return None
    at = numbers[0]
    return int(key[at][1][0]) - int(key[at][0][0]), key[:at] + key[at + 1 :]


def _worth(count: int) -> int:
    return min(_MOST, round(_BONUS * math.log2(count))) if count > 1 else 0


def _order(link: ColumnLink) -> tuple[str, int, str]:
    return link.old.table, link.old.position, link.old.name


_NAMED = 4

_FULL = 100

_CLOSE = 12

"""Two scores that differ by less are as good as each other."""


@dataclass(frozen=True)
class LinkGroup:
    """Links that hang together, and the pairs chosen among them."""

    links: tuple[ColumnLink, ...]
    chosen: tuple[ColumnLink, ...]

    @cached_property
    def choices(self) -> tuple[ColumnLink, ...]:
        """The pairs to choose from, where one column has several that are as good; the proposed one first."""
        possible = [link for link in self.links if link.possible]
        lone = min(len({link.old.path for link in possible}), len({link.new.path for link in possible}))
        if lone != 1 or len(possible) < 2:
            return ()
        best = self.chosen[0]
        close = [link for link in possible if link is not best and link.score > best.score - _CLOSE]
        return (best, *sorted(close, key=lambda link: (-link.score, link.declaration))) if close else ()

    @cached_property
    def by_column(self) -> Mapping[str, Sequence[ColumnLink]]:
        """The links of each column, on either side."""
        found: dict[str, list[ColumnLink]] = defaultdict(list)
        for link in self.links:
            found[f"-{link.old.path}"].append(link)
            found[f"+{link.new.path}"].append(link)
        return found


def group(links: Iterable[ColumnLink]) -> list[tuple[LinkGroup, ...]]:
    """Split links into questions.

    Parts that are explained by one change of name, or that are moves between the same two tables, are one
    question; a part with a choice to make is only joined to the same choice in another table.
    """
    links = tuple(links)
    chosen = frozenset(choose(links))
    parts = [LinkGroup(found, tuple(link for link in found if link in chosen)) for found in components(links)]
    signs = [_signs(part) for part in parts]
    group_of: dict[str, int] = {}
    parent = list(range(len(parts)))

    def root(at: int) -> int:
        while parent[at] != at:
            at = parent[at]
        return at

    for at, found in enumerate(signs):
        for sign in found:
            first, second = sorted((root(group_of.setdefault(sign, at)), root(at)))
            parent[second] = first
    groups: dict[int, list[LinkGroup]] = defaultdict(list)
    for at, part in enumerate(parts):
        groups[root(at)].append(part)
    return [tuple(groups[at]) for at in sorted(groups)]


def _signs(part: LinkGroup) -> set[str]:
    """Return what a part has in common with others that belong to the same question."""
    if not part.chosen:
        links = part.links
        return {f"impossible {link.old.table} {link.new.table}" for link in links}
    if part.choices:
        return {f"choice {sorted(map(_names, part.choices))}"}
    found: set[str] = set()
    for link in part.chosen:
        if link.move:
            found.add(f"move {link.old.table} {link.new.table}")
        elif link.key:
            found.add(f"key {link.key}")
            if shift(link.key) is not None:
                found.add(f"shift {shift(link.key)}")
        elif not (link.old_stays or link.new_stays):
            found.add("spelling")
    return found


def question(parts: Sequence[LinkGroup], weaker: Sequence[Rejected] = ()) -> MatchingQuestion:
    """Make one question of parts that belong together."""
    links = [link for part in parts for link in part.links]
    chosen = [link for part in parts for link in part.chosen]
    return MatchingQuestion(
        text=_text(parts, chosen),
        proposals=tuple(proposal(link, part) for part in parts for link in part.chosen),
        answers=_answers(parts),
        rejected=(*_rejected(parts), *weaker),
        columns=tuple(dict.fromkeys(link.old.path for link in links)),
        targets=tuple(dict.fromkeys(link.new.path for link in links)),
    )


def _answers(parts: Sequence[LinkGroup]) -> tuple[Answer, ...]:
    """List the ways to answer: the proposal, alternatives, copies, and that nothing is renamed."""
    ways: list[list[ColumnLink]] = [
        [link for part in parts for link in part.choices if _names(link) == _names(choice)]
        for choice in parts[0].choices
    ]
    ways = ways or [[link for part in parts for link in part.chosen]]
    answers = [Answer(_meaning(chosen), lines(parts, chosen)) for chosen in ways if chosen]
    copies = [link for part in parts for link in part.links if link.move and link.possible]
    if len(ways) > 1 and len(parts) == 1 and len({link.old.path for link in copies}) == 1 < len(copies):
        where = listed([f"`{link.new.table}`" for link in copies])
        answers.append(
            Answer(f"the values are copied to {where}", tuple(link.declaration for link in copies))
        )
    answers.append(Answer(_none(parts), lines(parts, [])))
    return tuple(answers)


def lines(parts: Sequence[LinkGroup], chosen: Sequence[ColumnLink]) -> tuple[str, ...]:
    """Return the declarations that say what becomes of every column of some parts."""
    links = [link for part in parts for link in part.links]
    by_old = {link.old.path: link for link in chosen}
    claimed = {link.new.path for link in chosen}
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
    known = {link.old.path for link in links}
    for link in chosen:
        # A column that keeps its name, but not its values.
        path = f"{link.old.table}.{link.new.name}"
        if link.new_stays and path not in known:
            found.append(f"{path}=")
    return tuple(found)


def _names(link: ColumnLink) -> tuple[str, str]:
    """Return what makes two links the same choice: a rename in another table, or the very same move."""
    return (link.old.path, link.new.path) if link.move else (link.old.name, link.new.name)


def _meaning(chosen: Sequence[ColumnLink]) -> str:
    verb = "moves" if all(link.move for link in chosen) else "is renamed"
    if len(chosen) == 1:
        target = chosen[0].new.path if chosen[0].move else chosen[0].new.name
        return f"`{chosen[0].old.path}` {verb} to `{target}`"
    return f"these {len(chosen)} columns {'move' if verb == 'moves' else 'are renamed'}"


def _none(parts: Sequence[LinkGroup]) -> str:
    links = [link for part in parts for link in part.links]
    dropped = dict.fromkeys(link.old.path for link in links if not link.old_stays)
    stays = dict.fromkeys(link.old.path for link in links if link.old_stays)
    said: list[str] = []
    if stays:
        said.append(
            f"{listed([f'`{path}`' for path in stays], 4)} {'stays' if len(stays) == 1 else 'stay'} as named"
        )
    if dropped:
        names = (
            listed([f"`{path}`" for path in dropped]) if len(dropped) <= _NAMED else "all of these columns"
        )
        said.append(f"{names} {'is' if len(dropped) == 1 else 'are'} dropped and the values lost")
    return ", ".join(said)


def proposal(link: ColumnLink, part: LinkGroup) -> RenameProposal:
    """Say why a pair is proposed, and how it compares with the next best."""
    if link.move or link.score > _FULL:
        # What counts for a move is the key, and for an id its proof, not how alike the columns are.
        return RenameProposal(link.old.path, link.new.path, link.evidence)
    ends = (f"-{link.old.path}", f"+{link.new.path}")
    rivals = [other for end in ends for other in part.by_column[end] if other is not link]
    margin = "no other candidate"
    if rivals:
        best = max(rivals, key=lambda rival: (rival.score, rival.declaration))
        margin = f"next best `{best.old.path}` → `{best.new.path}` with {min(best.score, _FULL)}"
    return RenameProposal(link.old.path, link.new.path, link.evidence, link.score, margin)


def _rejected(parts: Sequence[LinkGroup]) -> tuple[Rejected, ...]:
    """List the links that were not chosen; those of one change of name together, when there are several."""
    found: list[Rejected] = []
    families: dict[str, list[int]] = defaultdict(list)
    for part in parts:
        best = {end: link.score for link in part.chosen for end in (f"-{link.old.path}", f"+{link.new.path}")}
        taken = {*part.chosen, *part.choices}
        for link in part.links:
            if link in taken:
                continue
            rival = max(best.get(f"-{link.old.path}", 0), best.get(f"+{link.new.path}", 0))
            if link.key and len(part.chosen) > 1:
                families[link.change].append(link.score)
            elif not link.possible or not rival:
                found.append(Rejected(link.old.path, link.new.path, "; ".join(link.evidence)))
            else:
                how = "as good a fit" if rival - link.score < _CLOSE else "a weaker fit"
                reason = f"{how} (score {link.score}, the pair proposed has {min(rival, _FULL)})"
                found.append(Rejected(link.old.path, link.new.path, reason))
    for what, scores in families.items():
        reason = (
            f"it would explain {number(len(scores), 'pair')}, each a weaker fit (scores up to {max(scores)})"
        )
        found.append(Rejected("", what, reason))
    return tuple(found)


def _text(parts: Sequence[LinkGroup], chosen: Sequence[ColumnLink]) -> str:
    links = [link for part in parts for link in part.links]
    olds = list(dict.fromkeys(link.old.path for link in links))
    news = list(dict.fromkeys(link.new.path for link in links))
    if not chosen:
        why = links[0].obstacle
        return f"{_quoted(olds)} went and {_quoted(news)} came, but {why}: may the values be lost?"
    if parts[0].choices:
        if len({link.old.path for link in parts[0].links}) == 1:
            gone, come = _quoted(olds), _quoted(news)
            return f"{gone} went, and each of {come} could continue it: which one?"
        return f"Which of {_quoted(olds)} lives on as {_quoted(news)}?"
    if all(link.move for link in chosen):
        if len(chosen) == 1:
            return f"Did `{chosen[0].old.path}` move to `{chosen[0].new.path}`?"
        source, target = chosen[0].old.table, chosen[0].new.table
        return f"Did these {len(chosen)} columns move from `{source}` to `{target}`?"
    if len(chosen) == 1:
        return f"Is `{chosen[0].new.path}` the old `{chosen[0].old.path}` under another name?"
    if len({(link.old.name, link.new.name) for link in chosen}) == 1:
        where = listed([f"`{link.old.table}`" for link in chosen])
        return f"Is `{chosen[0].new.name}` the old `{chosen[0].old.name}` under another name, in {where}?"
    tables: dict[str, int] = defaultdict(int)
    for link in chosen:
        tables[link.old.table] += 1
    where = listed([f"{number(count, 'column')} of `{table}`" for table, count in tables.items()])
    changes = list(dict.fromkeys(link.change for link in chosen if link.change))
    how = f" In their names, {listed(changes, 4)}." if changes else ""
    return f"Are {where} renamed?{how}"


def _quoted(paths: Sequence[str]) -> str:
    return listed([f"`{path}`" for path in paths], _NAMED)
