"""Parse commands in comments, and answer them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from consdb_actions.approval.evaluate import visible_lines
from consdb_actions.approval.facts import Account
from consdb_actions.errors import InputError
from consdb_actions.forms import Public
from consdb_actions.migration.matching.declarations import parse_declaration, parse_directives, parse_take
from consdb_actions.process.facts import Comment
from consdb_actions.process.steps import STEPS, ProcessStep, step_words
from consdb_actions.process.stored_state import Binding, CommentState

MOST = 20  # Maximum number of commands in one comment

NOTE = 300  # Maximum length of a note in characters; the rest is cut off

ANSWER = 300  # Maximum length of an answer in characters: at most four names

_SHOWN = 60

_WORD = "/consdb"

_LINE = re.compile(r" {0,3}/consdb(?P<rest>(?:[ \t].*)?)", re.IGNORECASE)


class Verb(StrEnum):
    """The verb of a command."""

    DONE = "done"
    UNDO = "undo"
    RENAME = "rename"
    TAKE = "take"
    REGENERATE = "regenerate"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Command:
    """A valid command."""

    verb: Verb
    text: str  # the line as written
    step: str = ""  # id of the step; empty for none
    note: str = ""
    declaration: str = ""  # the rename or the side of a conflict, as for ``--rename`` or ``--take``


@dataclass(frozen=True, slots=True)
class Mistake:
    """An invalid command; `answer` says what to write instead."""

    text: str
    answer: str


def mentions_commands(body: str) -> bool:
    """Tell whether a comment may hold a command, without parsing it."""
    return _WORD in body.casefold()


def commands_in(body: str) -> tuple[Command | Mistake, ...]:
    """Parse the commands of a comment."""
    if not mentions_commands(body):
        return ()
    lines = [match["rest"].strip() for line in visible_lines(body) if (match := _LINE.fullmatch(line))]
    found = [_command(rest) for rest in lines[:MOST]]
    if len(lines) > MOST:
        found.append(
            Mistake(
                _WORD, f"this comment has {len(lines)} commands, and only the first {MOST} of them are read"
            )
        )
    return tuple(found)


def _command(rest: str) -> Command | Mistake:
    text = f"{_WORD} {rest}".strip()
    if not rest:
        return Command(Verb.HELP, _WORD)
    word, arguments = _first(rest)
    try:
        verb = Verb(word.casefold())
    except ValueError:
        return Mistake(text, _unknown("command", word, list(Verb), list(Verb)))
    if verb in (Verb.DONE, Verb.UNDO):
        return _about_step(verb, text, arguments)
    if verb in (Verb.RENAME, Verb.TAKE):
        return _answer(verb, text, arguments)
    if arguments:
        return Mistake(text, f"{verb} has no arguments; write it alone on its line")
    return Command(verb, text)


def _about_step(verb: Verb, text: str, arguments: str) -> Command | Mistake:
    word, note = _first(arguments)
    attested = [step.id for step in STEPS if step.attested]
    if not word:
        return Mistake(text, f"the step is missing, one of: {', '.join(attested)}")
    step: ProcessStep | None = step_words().get(word.casefold().rstrip(".,;:"))
    if step is None:
        known = [word for word, step in step_words().items() if step.attested]
        return Mistake(text, _unknown("step", word, known, attested))
    if not step.attested:
        return Mistake(
            text,
            f"{step.id} needs no comment; it is done when {step.evidence}",
        )
    note = " ".join(note.replace("\ufffd", " ").split())
    return Command(verb, text, step.id, note if len(note) <= NOTE else note[: NOTE - 1] + "…")


def _answer(verb: Verb, text: str, arguments: str) -> Command | Mistake:
    """Parse an answer to a question, in the forms of ``--rename`` and ``--take``."""
    if not arguments:
        missing = "TABLE.OLD=NEW" if verb is Verb.RENAME else "a side with an element"
        return Mistake(text, f"{missing} is missing")
    parse = parse_declaration if verb is Verb.RENAME else parse_take
    try:
        declaration = parse(arguments.strip("`"), "pull request")
    except InputError as error:
        return Mistake(text, f"{error.cause}. {error.remedy.removesuffix('.')}")
    if len(declaration.text) > ANSWER:
        return Mistake(
            text[:_SHOWN] + "…", f"it has more than {ANSWER} characters, and no name has more than 63"
        )
    return Command(verb, text, declaration=declaration.text)


def _unknown(kind: str, word: str, known: list[str], listed: list[str]) -> str:
    shown = word if len(word) <= _SHOWN else word[: _SHOWN - 1] + "…"
    near = difflib.get_close_matches(word.casefold(), known, n=1)
    meant = f"; did you mean {near[0]}?" if near else ";"
    every = ", ".join(listed)
    return f'there is no {kind} "{shown}"{meant} {"The" if near else "the"} {kind}s are {every}'


def _first(text: str) -> tuple[str, str]:
    word, *rest = text.split(maxsplit=1) or [""]
    return word, rest[0] if rest else ""


class CommandOutcome(StrEnum):
    """The outcome of a command."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class CommentCommand(Public):
    """A command of a comment, with its outcome."""

    PUBLIC: ClassVar[str] = (
        "comment=comment.id actor=actor.login at=comment.created_at text verb step outcome answer"
    )

    comment: Comment
    actor: Account
    said: Command | Mistake
    outcome: CommandOutcome
    answer: str = ""  # reason of a rejection, or a remark; may be empty
    binding: Binding | None = None  # None if it does not depend on the state

    @property
    def text(self) -> str:
        """Return the line as written."""
        return self.said.text

    @property
    def verb(self) -> Verb | None:
        """Return the verb; None for an invalid command."""
        return self.said.verb if isinstance(self.said, Command) else None

    @property
    def step(self) -> str:
        """Return the step of the command; empty for none."""
        return self.said.step if isinstance(self.said, Command) else ""


@dataclass(frozen=True, slots=True)
class Attestation:
    """A statement that a step is done, bound to a state."""

    step: str
    by: str
    at: datetime
    note: str
    url: str
    binding: Binding


@dataclass(frozen=True, slots=True)
class CommentCommands:
    """All commands and their effects."""

    heard: tuple[CommentCommand, ...]  # oldest first
    # valid ones by step, oldest first: accepted and not undone
    attestations: dict[str, tuple[Attestation, ...]]
    undone: dict[str, CommentCommand]  # the last command on a step, if that is ``undo``
    memos: tuple[CommentState, ...]  # entries to store, as far as there is room


ROOM = 5_000  # Maximum size in characters of the stored answers of a pull request; the oldest are dropped

_BLOCK = re.compile(r"<!-- consdb-actions:answers (?P<json>\[.*\]) -->")


def answers_in(heard: Iterable[CommentCommand]) -> tuple[str, ...]:
    """Collect the accepted answers.

    Each has the form of a line after ``consdb:`` in a pull request, such as ``rename exposure.a=b`` or ``take
    head exposure.ra``; a later answer replaces an earlier one about the same element.
    """
    answers: dict[tuple[Verb, str], str] = {}
    for item in heard:
        said = item.said
        if item.outcome is not CommandOutcome.ACCEPTED or not isinstance(said, Command):
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
