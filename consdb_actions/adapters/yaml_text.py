"""Check size and encoding of untrusted YAML (rule S2)."""

from __future__ import annotations

from consdb_actions.adapters.problems import FileError, Problem, shorten

__all__ = ["MAX_BYTES", "decode"]

MAX_BYTES = 8 * 1024 * 1024
"""Largest file that is read."""


def decode(data: str | bytes, *, source: str) -> str:
    """Return the text of a YAML file."""
    text = _text(data, source)
    _refuse_directives(text, source)
    return text


def _text(data: str | bytes, source: str) -> str:
    if len(data) > MAX_BYTES:
        cause = f"the file is larger than {MAX_BYTES // 2**20} MiB"
        raise FileError(
            source, [Problem(0, 0, cause, "Split it, or see whether it is a schema file at all.")]
        )
    if isinstance(data, str):
        try:
            data.encode()
        except UnicodeEncodeError as error:
            line = data.count("\n", 0, error.start) + 1
            cause = f"the text holds U+{ord(data[error.start]):04X}, which is no character"
            raise FileError(source, [Problem(line, 0, cause, "Remove it.")]) from error
        return data.removeprefix("\ufeff")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FileError(source, [Problem(1, 0, "the file is UTF-16, not UTF-8", "Save it as UTF-8.")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        cause = f"the file is not UTF-8: byte 0x{data[error.start]:02x} here is no character"
        raise FileError(source, [Problem(line, 0, cause, "Save it as UTF-8.")]) from error


def _refuse_directives(text: str, source: str) -> None:
    """Refuse directives: no schema needs one, and many slow the parser down."""
    if not text.startswith("%") and "\n%" not in text:
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith("%"):
            cause = f"the file starts with a YAML directive, {shorten(line)}"
            raise FileError(source, [Problem(number, 1, cause, "Remove the line.")])
        if line.strip() and not line.lstrip().startswith("#"):
            return
