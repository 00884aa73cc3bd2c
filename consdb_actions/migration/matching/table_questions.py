"""Likely renames of tables as questions. An answer says in the same breath what becomes of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from consdb_actions.migration.matching.decisions import Answer, Proposal, Question, Rejected
from consdb_actions.migration.matching.declarations import (
    Declarations,
    DeclaredTableDrop,
    DeclaredTableRename,
)
from consdb_actions.migration.matching.questions import lines, proposal
from consdb_actions.migration.matching.run import Run
from consdb_actions.migration.matching.tables import TableGroup, TableLink
from consdb_actions.migration.matching.wording import listed

__all__ = ["table_questions"]

_FULL = 100


@dataclass(frozen=True)
class _Inside:
    """What would be asked about the columns of tables if these were renamed."""

    declarations: tuple[str, ...]
    proposals: tuple[Proposal, ...]


def table_questions(run: Run, declared: Declarations) -> list[Question]:
    """Make a question of each group of tables."""
    return [_question(group, run, declared) for group in run.matches.groups]


def _question(group: TableGroup, run: Run, declared: Declarations) -> Question:
    olds = tuple(dict.fromkeys(link.old for link in group.links))
    news = tuple(dict.fromkeys(link.new for link in group.links))
    ways: list[tuple[TableLink, ...]] = [(link,) for link in group.choices]
    ways = ways or [group.chosen]
    inside = [_inside(run, declared, way, olds) for way in ways]
    answers = [_answer(way, olds, found) for way, found in zip(ways, inside, strict=True)]
    nothing = f"{_quoted(olds)} {'is' if len(olds) == 1 else 'are'} dropped and the rows lost"
    answers.append(Answer(nothing, tuple(f"{old}=" for old in olds)))
    proposals = [
        Proposal(link.old, link.new, link.evidence, link.score if link.score <= _FULL else None)
        for link in ways[0]
    ]
    listed_links = {link for way in ways for link in way}
    return Question(
        text=_text(olds, news),
        proposals=(*proposals, *inside[0].proposals),
        answers=tuple(answers),
        rejected=tuple(
            Rejected(link.old, link.new, f"{'; '.join(link.evidence)}, a weaker fit")
            for link in group.links
            if link not in listed_links
        ),
        columns=olds,
        targets=news,
    )


def _inside(run: Run, declared: Declarations, way: Sequence[TableLink], olds: Sequence[str]) -> _Inside:
    """Assume an answer, and take what is likely for the columns then."""
    renamed = {link.old for link in way}
    assumed = replace(
        declared,
        table_renames=(
            *declared.table_renames,
            *(DeclaredTableRename(link.old, link.new, "option") for link in way),
        ),
        table_drops=(
            *declared.table_drops,
            *(DeclaredTableDrop(old, "option") for old in olds if old not in renamed),
        ),
    )
    # Only what happens within the tables: what may move in or out is asked when the tables are settled.
    parts = [
        part
        for parts in Run(run.before, run.after, assumed).parts
        for part in parts
        if part.links[0].old.table in renamed and not any(link.move for link in part.links)
    ]
    return _Inside(
        tuple(line for part in parts for line in lines([part], part.chosen)),
        tuple(proposal(link, part) for part in parts for link in part.chosen),
    )


def _answer(way: Sequence[TableLink], olds: Sequence[str], inside: _Inside) -> Answer:
    renamed = {link.old: link.new for link in way}
    lost = [old for old in olds if old not in renamed]
    meaning = listed([f"`{old}` is renamed to `{new}`" for old, new in renamed.items()])
    if lost:
        meaning += f", {_quoted(lost)} {'is' if len(lost) == 1 else 'are'} dropped and the rows lost"
    if inside.declarations:
        meaning += ", with the columns as proposed"
    tables = [f"{old}={renamed.get(old, '')}" for old in olds]
    return Answer(meaning, (*tables, *inside.declarations))


def _text(olds: Sequence[str], news: Sequence[str]) -> str:
    if len(olds) == len(news) == 1:
        return f"Is table `{news[0]}` the old `{olds[0]}` under another name?"
    if len(olds) == 1:
        return f"Table `{olds[0]}` went, and each of {_quoted(news)} could continue it: which one?"
    return f"Which of the tables {_quoted(olds)} live on as {_quoted(news)}?"


def _quoted(names: Sequence[str]) -> str:
    return listed([f"`{name}`" for name in names])
