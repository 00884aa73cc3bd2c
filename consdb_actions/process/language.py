"""Parse commands in comments: ``/consdb VERB …`` at the start of a line.

Quoted text and code only mention a command and are ignored.

===========================================  ===========================================================
``/consdb done STEP [note]``                 the step is done
``/consdb undo STEP [note]``                 the step is not done
``/consdb rename TABLE.OLD=NEW``             a rename, in every form that ``--rename`` takes
``/consdb take head TABLE.ELEMENT``          for a conflict: the schema's state; ``current`` the database's
``/consdb regenerate``                       regenerate the migration
``/consdb help``                             list the commands
===========================================  ===========================================================
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum

from consdb_actions.approval.naming import visible_lines
from consdb_actions.errors import InputError
from consdb_actions.migration.matching.declarations import parse_declaration, parse_take
from consdb_actions.process.steps import STEPS, Step, step_words

__all__ = ["MOST", "Command", "Mistake", "Verb", "commands_in", "mentions_commands"]

MOST = 20
"""Maximum number of commands in one comment."""

NOTE = 300
"""Maximum length of a note in characters; the rest is cut off."""

ANSWER = 300
"""Maximum length of an answer in characters: at most four names."""

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
    """Parse the text after ``/consdb``."""
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
        return Mistake(text, f"nothing may follow {verb}; write it alone on its line")
    return Command(verb, text)


def _about_step(verb: Verb, text: str, arguments: str) -> Command | Mistake:
    """Parse a step and a note."""
    word, note = _first(arguments)
    attested = [step.id for step in STEPS if step.attested]
    if not word:
        return Mistake(text, f"it lacks the step, one of: {', '.join(attested)}")
    step: Step | None = step_words().get(word.casefold().rstrip(".,;:"))
    if step is None:
        known = [word for word, step in step_words().items() if step.attested]
        return Mistake(text, _unknown("step", word, known, attested))
    if not step.attested:
        return Mistake(
            text,
            f"nobody has to say that {step.id} is done: {step.evidence}, and this is looked up",
        )
    note = " ".join(note.replace("\ufffd", " ").split())
    return Command(verb, text, step.id, note if len(note) <= NOTE else note[: NOTE - 1] + "…")


def _answer(verb: Verb, text: str, arguments: str) -> Command | Mistake:
    """Parse an answer to a question, in the forms of ``--rename`` and ``--take``."""
    if not arguments:
        missing = "what is renamed: TABLE.OLD=NEW" if verb is Verb.RENAME else "the side and the element"
        return Mistake(text, f"it lacks {missing}")
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
    """Reject an unknown word, with the most similar one and all valid ones."""
    shown = word if len(word) <= _SHOWN else word[: _SHOWN - 1] + "…"
    near = difflib.get_close_matches(word.casefold(), known, n=1)
    meant = f"; did you mean {near[0]}?" if near else ";"
    every = ", ".join(listed)
    return f'there is no {kind} "{shown}"{meant} {"The" if near else "the"} {kind}s are {every}'


def _first(text: str) -> tuple[str, str]:
    word, *rest = text.split(maxsplit=1) or [""]
    return word, rest[0] if rest else ""
