"""Printed output, and the protocol between a step and the GitHub Actions runner.

Without a runner every method does nothing. Workflow commands go to standard error, which the runner reads as
well, so that standard output holds only the requested output.
"""

from __future__ import annotations

import base64
import errno
import io
import json
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO, cast
from urllib.parse import quote

from consdb_actions.errors import ExternalError
from consdb_actions.redaction import conceal, remember, visible

Level = Literal["notice", "warning", "error"]

SUMMARY_LIMIT = 1024 * 1024  # bytes per step; a larger summary is refused as a whole
_CUT_NOTE = "\n_The rest was cut off: GitHub shows at most 1 MiB for each step._\n"


def inert(text: str) -> str:
    """Quote lines that the runner would take for workflow commands.

    A line that starts with ``::`` (after blanks, too) gets ``> `` in front, and the marker of the older form,
    which works anywhere in a line, is split by a blank.
    """
    return re.sub(r"(^|[\r\n])(?=[\s\x00\ufeff\u200b]*::)", r"\1> ", text).replace("##[", "## [")


_SECRET = re.compile(r"(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY)\Z", re.IGNORECASE)
_SHORTEST = 16
"""Characters of a value that is hidden wherever it stands; a shorter one could be part of any word."""


def remember_secrets(environ: Mapping[str, str]) -> None:
    """Have the credentials of an environment hidden, whatever their form (rule G5)."""
    lines = (
        line.strip() for key, value in environ.items() if _SECRET.search(key) for line in value.splitlines()
    )
    remember(form for line in lines if len(line) >= _SHORTEST for form in _forms(line))


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is written in texts, JSON, addresses and headers."""
    yield from (secret, json.dumps(secret)[1:-1], quote(secret, safe="", errors="surrogateescape"))
    for user in ("", "x-access-token:"):
        yield base64.b64encode(f"{user}{secret}".encode(errors="surrogateescape")).decode()


_OWN_COLOURS = re.compile(r"(\x1b\[(?:0|1|2|3[1-6])m)")


def seen(text: str) -> str:
    """Return a text in which all that is there can be seen: no control characters but colours of our own."""
    parts = _OWN_COLOURS.split(text)
    return "".join(part if index % 2 else visible(part) for index, part in enumerate(parts))


class _QuotingStream:
    """A stream on which nothing that is written acts on a terminal, and on a runner none is a command.

    Into a file or a pipe everything but secrets goes as it is. `unquoted` is the stream itself.
    """

    encoding = "utf-8"  # Click would go around a stream that is ASCII, and write bytes into what is below.

    def __init__(self, stream: TextIO, *, on_runner: bool, must_work: bool) -> None:
        self.unquoted = stream
        self._on_runner = on_runner
        self._must_work = must_work
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        shown = conceal(text)
        if self._on_runner or self.unquoted.isatty():
            shown = seen(shown)
        if self._on_runner:
            shown = inert(shown)
        self._try(lambda: self.unquoted.write(shown))
        return len(text)

    def flush(self) -> None:
        self._try(self.unquoted.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            if self._must_work:
                raise ExternalError(
                    f"the output cannot be written: {error.strerror}",
                    remedy="Free some space, or send the output elsewhere; the command itself succeeded.",
                ) from error

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unquoted, name)


@contextmanager
def quoted_streams(*, on_runner: bool) -> Iterator[None]:
    """Make everything harmless that is printed inside of the block, but for what `Runner` itself says.

    The runner reads both streams for commands, a terminal for what moves its cursor, and reports hold others'
    words.
    """
    kept = sys.stdout, sys.stderr
    if sys.stdout is not None:
        sys.stdout = cast("TextIO", _QuotingStream(kept[0], on_runner=on_runner, must_work=True))
    if sys.stderr is not None:
        sys.stderr = cast("TextIO", _QuotingStream(kept[1], on_runner=on_runner, must_work=False))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = kept


@dataclass(frozen=True)
class Runner:
    """The runner that executes this step, if any."""

    on_runner: bool = False
    output_file: Path | None = None
    summary_file: Path | None = None
    workspace: Path | None = None  # the checkout; annotations name files relative to it

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Runner:
        """Detect the runner by its variables; inactive unless ``GITHUB_ACTIONS`` is ``true``."""
        if environ.get("GITHUB_ACTIONS") != "true":
            return cls()

        def path(name: str) -> Path | None:
            return Path(environ[name]) if environ.get(name) else None

        return cls(
            on_runner=True,
            output_file=path("GITHUB_OUTPUT"),
            summary_file=path("GITHUB_STEP_SUMMARY"),
            workspace=path("GITHUB_WORKSPACE"),
        )

    def output(self, name: str, value: str) -> None:
        """Set an output of the step, which may have several lines."""
        if not re.fullmatch(r"[A-Za-z_][\w-]*", name, re.ASCII):
            raise ValueError(f"not a name of an output: {name!r}")
        if self.output_file is None:
            return
        # A random delimiter, so that a value cannot end its own block and set another output.
        delimiter = f"end-{secrets.token_hex(16)}"
        _append(self.output_file, f"{name}<<{delimiter}\n{conceal(value)}\n{delimiter}\n")

    def summary(self, markdown: str) -> None:
        """Append escaped text to the summary of the step, up to the limit."""
        if self.summary_file is None:
            return
        text = visible(conceal(markdown)).removesuffix("\n") + "\n"
        used = self.summary_file.stat().st_size if self.summary_file.exists() else 0
        _append(self.summary_file, _fitting(text, SUMMARY_LIMIT - used))

    def annotation(
        self,
        level: Level,
        message: str,
        file: str | Path | None = None,
        line: int | None = None,
        title: str | None = None,
    ) -> None:
        """Show a message on the run's page and in the diff."""
        if not self.on_runner:
            return
        place = self._relative(file) if file is not None else None
        properties = {"file": place, "line": str(line) if place and line else None, "title": title}
        given = ",".join(
            f"{name}={_escape(_shown(value)).replace(':', '%3A').replace(',', '%2C')}"
            for name, value in properties.items()
            if value is not None
        )
        stream = getattr(sys.stderr, "unquoted", sys.stderr)
        stream.write(f"::{level}{' ' if given else ''}{given}::{_escape(_shown(message))}\n")
        stream.flush()

    def inert(self, text: str) -> str:
        """Make text of others inert on a runner; unchanged elsewhere."""
        return inert(text) if self.on_runner else text

    def _relative(self, file: str | Path) -> str:
        path = Path(file)
        if self.workspace is not None and path.is_absolute() and path.is_relative_to(self.workspace):
            path = path.relative_to(self.workspace)
        return path.as_posix()


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _shown(text: str) -> str:
    return seen(conceal(text))


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8", errors="replace", newline="") as stream:
            stream.write(text)
    except OSError as error:
        raise ExternalError(
            f"this file of the runner cannot be written: {error.strerror}",
            place=str(path),
            remedy="Free some space and run again.",
        ) from error


def _fitting(markdown: str, room: int) -> str:
    """Cut a text at a line's end, and close open blocks."""
    data = markdown.encode("utf-8", "replace")
    if len(data) <= room:
        return markdown
    # Closing fences and foldings need room; 200 bytes are enough for the reports' nesting.
    kept = data[: max(0, room - len(_CUT_NOTE) - 200)].decode("utf-8", "ignore")
    kept = kept[: kept.rfind("\n") + 1]
    fence = _open_fence(kept)
    kept += f"{fence}\n" if fence else ""
    kept += "\n</details>\n" * (kept.count("<details") - kept.count("</details>"))
    return kept + _CUT_NOTE if len((kept + _CUT_NOTE).encode()) <= room else ""


def _open_fence(markdown: str) -> str:
    fence = ""
    for line in markdown.splitlines():
        mark = re.match(r"\s{0,3}(`{3,}|~{3,})(.*)", line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not mark[2].strip():
            fence = ""
    return fence
