"""Commands in comments, and what is stored about them in ours.

GitHub does not record the commit at which a comment was written; the first run that reads it stores that.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from consdb_actions.approval.evaluate import visible_lines
from consdb_actions.approval.facts import Account, CommitChange
from consdb_actions.approval.plan import Part, own_sections
from consdb_actions.errors import InputError
from consdb_actions.forms import Form, Public, hidden, read_hidden
from consdb_actions.migration.matching.declarations import parse_declaration, parse_directives, parse_take
from consdb_actions.process.facts import Comment, ProcessFacts
from consdb_actions.process.policy import STEPS, ProcessStep, step_words

# Marks a comment when all steps are done: the pull request need not be read again.
FINISHED = "<!-- consdb-actions:process-finished -->"

STATE_ROOM = 14_000  # Maximum size of the stored state in characters; the oldest entries are dropped first

_Digest = Annotated[str, Form(pattern="^[0-9a-f]{0,16}$")]
_Entry = tuple[
    Annotated[str, Form(pattern="^([0-9a-f]{40})?$")],
    _Digest,
    _Digest,
    tuple[tuple[str, str], ...],
    Literal["+1", "confused", ""],
]


@dataclass(frozen=True, slots=True)
class Binding:
    """The state of the change that an attestation refers to."""

    sha: str  # newest commit in sdm_schemas; empty if uncertain
    change: str  # digest of the schema change at that commit
    migration: str  # digest of its migrations


@dataclass(frozen=True, slots=True)
class CommentState:
    """The stored state of one comment."""

    comment: int  # its id
    binding: Binding
    commands: tuple[tuple[str, str], ...]  # its original ones: verb, and step or answer
    reaction: str

    @property
    def is_without_effect(self) -> bool:
        """Whether it holds no accepted request, which must not be repeated."""
        return self.reaction != "+1" or all(verb in ("help", "?", "!") for verb, _ in self.commands)


def recall(facts: ProcessFacts) -> dict[int, CommentState]:
    """Read the stored state from our comment; an invalid block is ignored as a whole."""
    body = own_sections(facts.marked, facts.identity).get(Part.PROCESS, "")
    entries = read_hidden("process-memory", body, dict[int, _Entry], last=True) or {}
    return {
        number: CommentState(number, Binding(*binding), commands, reaction)
        for number, (*binding, commands, reaction) in entries.items()
    }


def kept(states: Iterable[CommentState]) -> tuple[CommentState, ...]:
    """Select the entries to store, as far as there is room.

    Entries without effect are dropped first, so that many comments cannot displace an attestation or an
    answer; then the oldest.
    """
    room = STATE_ROOM
    chosen = []
    for state in sorted(states, key=lambda state: (state.is_without_effect, -state.comment)):
        room -= len(_block([state]))
        if room < 0:
            break
        chosen.append(state)
    return tuple(sorted(chosen, key=lambda state: state.comment))


def written(states: Iterable[CommentState]) -> str:
    """Write the stored state as JSON for an HTML comment."""
    return _block(kept(states))


def _block(states: Iterable[CommentState]) -> str:
    return hidden(
        "process-memory",
        {
            state.comment: [
                state.binding.sha,
                state.binding.change,
                state.binding.migration,
                state.commands,
                state.reaction,
            ]
            for state in states
        },
    )


def change_digest(change: CommitChange | None) -> str:
    """Return the digest of a schema change; empty if unknown."""
    if change is None or change.problem:
        return ""
    return _digest(
        [item.path, item.structure, item.text, "" if item.structure else item.verbatim]
        for item in sorted(change.changes, key=lambda item: item.path)
    )


def migration_digest(facts: ProcessFacts) -> str:
    """Return one digest of all migrations of the change; empty for none."""
    live = sorted(item.digest for item in facts.migrations if item.live and item.digest)
    return _digest(live) if live else ""


def _digest(values: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()[:16]


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
    """A command; an invalid one has no verb, and `mistake` says what to write instead."""

    verb: Verb | None
    text: str  # the line as written
    step: str = ""  # id of the step; empty for none
    note: str = ""
    declaration: str = ""  # the rename or the side of a conflict, as for ``--rename`` or ``--take``
    mistake: str = ""


def mistaken(text: str, mistake: str) -> Command:
    """Return an invalid command."""
    return Command(None, text, mistake=mistake)


def mentions_commands(body: str) -> bool:
    """Tell whether a comment may hold a command, without parsing it."""
    return _WORD in body.casefold()


def commands_in(body: str) -> tuple[Command, ...]:
    """Parse the commands of a comment."""
    if not mentions_commands(body):
        return ()
    lines = [match["rest"].strip() for line in visible_lines(body) if (match := _LINE.fullmatch(line))]
    found = [_command(rest) for rest in lines[:MOST]]
    if len(lines) > MOST:
        found.append(
            mistaken(
                _WORD, f"this comment has {len(lines)} commands, and only the first {MOST} of them are read"
            )
        )
    return tuple(found)


def _command(rest: str) -> Command:
    text = f"{_WORD} {rest}".strip()
    if not rest:
        return Command(Verb.HELP, _WORD)
    word, arguments = _first(rest)
    try:
        verb = Verb(word.casefold())
    except ValueError:
        return mistaken(text, _unknown("command", word, list(Verb), list(Verb)))
    if verb in (Verb.DONE, Verb.UNDO):
        return _about_step(verb, text, arguments)
    if verb in (Verb.RENAME, Verb.TAKE):
        return _answer(verb, text, arguments)
    if arguments:
        return mistaken(text, f"{verb} has no arguments; write it alone on its line")
    return Command(verb, text)


def _about_step(verb: Verb, text: str, arguments: str) -> Command:
    word, note = _first(arguments)
    attested = [step.id for step in STEPS if step.attested]
    if not word:
        return mistaken(text, f"the step is missing, one of: {', '.join(attested)}")
    step: ProcessStep | None = step_words().get(word.casefold().rstrip(".,;:"))
    if step is None:
        known = [word for word, step in step_words().items() if step.attested]
        return mistaken(text, _unknown("step", word, known, attested))
    if not step.attested:
        return mistaken(
            text,
            f"{step.id} needs no comment; it is done when {step.evidence}",
        )
    note = " ".join(note.replace("\ufffd", " ").split())
    return Command(verb, text, step.id, note if len(note) <= NOTE else note[: NOTE - 1] + "…")


def _answer(verb: Verb, text: str, arguments: str) -> Command:
    """Parse an answer to a question, in the forms of ``--rename`` and ``--take``."""
    if not arguments:
        missing = "TABLE.OLD=NEW" if verb is Verb.RENAME else "a side with an element"
        return mistaken(text, f"{missing} is missing")
    parse = parse_declaration if verb is Verb.RENAME else parse_take
    try:
        declaration = parse(arguments.strip("`"), "pull request")
    except InputError as error:
        return mistaken(text, f"{error.cause}. {error.remedy.removesuffix('.')}")
    if len(declaration.text) > ANSWER:
        return mistaken(
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
        "comment=comment.id actor=actor.login at=comment.created_at text=command.text verb=command.verb "
        "step=command.step outcome answer"
    )

    comment: Comment
    actor: Account
    command: Command
    outcome: CommandOutcome
    answer: str = ""  # reason of a rejection, or a remark; may be empty
    binding: Binding | None = None  # None if it does not depend on the state


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

    commands: tuple[CommentCommand, ...]  # oldest first
    # valid ones by step, oldest first: accepted and not undone
    attestations: dict[str, tuple[Attestation, ...]]
    undone: dict[str, CommentCommand]  # the last command on a step, if that is ``undo``
    states: tuple[CommentState, ...]  # to store, as far as there is room


ANSWERS_ROOM = 5_000  # Maximum size of a pull request's stored answers; the oldest are dropped

_BLOCK = re.compile(r"<!-- consdb-actions:answers (?P<json>\[.*\]) -->")


def answers_in(commands: Iterable[CommentCommand]) -> tuple[str, ...]:
    """Collect the accepted answers.

    Each has the form of a line after ``consdb:`` in a pull request, such as ``rename exposure.a=b`` or ``take
    head exposure.ra``; a later answer replaces an earlier one about the same element.
    """
    answers: dict[tuple[Verb, str], str] = {}
    for item in commands:
        verb, text = item.command.verb, item.command.declaration
        if item.outcome is not CommandOutcome.ACCEPTED or verb not in (Verb.RENAME, Verb.TAKE):
            continue
        element = text.partition("=")[0] if verb is Verb.RENAME else text.partition(" ")[2]
        answers.pop((verb, element), None)
        answers[verb, element] = f"{verb} {text}"
    kept: list[str] = []
    room = ANSWERS_ROOM
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
