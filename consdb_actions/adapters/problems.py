"""Problems of an input file, and the error that carries all of them."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from consdb_actions.errors import InputError

MAX_SHOWN = 20  # Maximum number of shown problems of a file; further ones are counted


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A problem in a file."""

    line: int  # from 1; 0 if unknown
    column: int  # from 1; 0 if unknown
    cause: str  # a sentence without full stop
    remedy: str = ""

    @property
    def place(self) -> str:
        """Return ``line 3, column 5``; empty if unknown."""
        if not self.line:
            return ""
        return f"line {self.line}, column {self.column}" if self.column else f"line {self.line}"


class FileError(InputError):
    """An unusable file with all its problems, shown in file order."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems: Sequence[Problem] = tuple(sorted(set(problems)))
        if len(self.problems) == 1:
            only = self.problems[0]
            place = ":".join([source, *(str(number) for number in (only.line, only.column) if number)])
            super().__init__(only.cause, place=place, remedy=only.remedy)
            return
        lines = []
        for problem in self.problems[:MAX_SHOWN]:
            lines.append(f"  {problem.place or 'file'}: {problem.cause}")
            if problem.remedy:
                lines.append(f"      {problem.remedy}")
        hidden = len(self.problems) - MAX_SHOWN
        if hidden > 0:
            lines.append(f"  and {hidden} more")
        super().__init__("\n".join([f"{len(self.problems)} problems", *lines]), place=source)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the most similar known word; empty for none."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'Did you mean "{near[0]}"?' if near else ""


def shorten(value: object, limit: int = 60) -> str:
    """Return a value in double quotes on one line, cut if long."""
    text = " ".join(str(value).split())
    return f'"{text[: limit - 1]}…"' if len(text) > limit else f'"{text}"'


def said(error: BaseException) -> str:
    """Return an error as text, with its type if needed."""
    words = str(error).strip()
    return words if isinstance(error, SyntaxError | UserWarning) else f"{type(error).__name__}: {words}"


def raised_in(error: BaseException, folder: Path) -> str:
    """Return where in a folder an error was raised; else the folder."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}" if error.lineno else error.filename
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).parent == folder:
            return f"{frame.filename}:{frame.lineno}"
    return str(folder)
