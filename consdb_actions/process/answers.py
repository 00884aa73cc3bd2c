"""Answers to questions from comments, kept for later migrations (rule P6)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from consdb_actions.errors import InputError
from consdb_actions.migration.matching.declarations import parse_directives
from consdb_actions.process.heard import Heard, Outcome
from consdb_actions.process.language import Command, Verb

__all__ = ["answers_in", "read_answers", "write_answers"]

ROOM = 10_000
"""Maximum size in characters of the stored answers of a pull request; the oldest are dropped."""

_BLOCK = re.compile(r"<!-- consdb-actions:answers (?P<json>\[.*\]) -->")


def answers_in(heard: Iterable[Heard]) -> tuple[str, ...]:
    """Collect the accepted answers.

    Each has the form of a line after ``consdb:`` in a pull request, such as ``rename exposure.a=b`` or ``take
    head exposure.ra``; a later answer replaces an earlier one about the same element.
    """
    answers: dict[tuple[Verb, str], str] = {}
    for item in heard:
        said = item.said
        if item.outcome is not Outcome.ACCEPTED or not isinstance(said, Command):
            continue
        if said.verb not in (Verb.RENAME, Verb.TAKE):
            continue
        is_rename = said.verb is Verb.RENAME
        element = said.declaration.partition("=")[0] if is_rename else said.declaration.partition(" ")[2]
        answers.pop((said.verb, element), None)
        answers[said.verb, element] = f"{said.verb} {said.declaration}"
    kept: list[str] = []
    room = ROOM
    for answer in reversed(answers.values()):
        room -= len(answer)
        if room < 0:
            break
        kept.append(answer)
    return tuple(reversed(kept))


def write_answers(answers: Iterable[str]) -> str:
    """Write answers into an HTML comment that they cannot end."""
    text = re.sub(r"[-<>@&]", lambda match: f"\\u{ord(match[0]):04x}", json.dumps(list(answers)))
    return f"<!-- consdb-actions:answers {text} -->"


def read_answers(body: str) -> tuple[str, ...]:
    """Read the valid answers from our comment, which people can edit."""
    match = _BLOCK.search(body)
    try:
        found = json.loads(match["json"]) if match is not None else []
    except (ValueError, RecursionError):
        return ()
    return tuple(text for text in found if isinstance(text, str) and _is_answer(text))


def _is_answer(text: str) -> bool:
    try:
        return len(text.splitlines()) == 1 and len(parse_directives(f"consdb: {text}")) == 1
    except InputError:
        return False
