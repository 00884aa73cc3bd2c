"""Read the untrusted folder of a generating job (rules S2 and S3)."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consdb_actions.adapters.typed_files import typed
from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.forms import json_schema
from consdb_actions.migration.outcome import RunOutcome
from consdb_actions.publication.result import MAX_FILE, MAX_FILES, MAX_REPORT

REPORT = "report.json"  # Name of the report in each part of a result
LOG = "log.txt"  # Name of the generator's output
LOG_SHOWN = 8_000  # Bytes read from the end of a log
MAX_PARTS = 64  # Maximum number of parts; ConsDB has 11 sections
MAX_WHOLE = 60_000_000  # Maximum total size in bytes

_REMEDY = "Nothing was published. Check the job that created the artifact, and run it again."


@dataclass(frozen=True)
class ResultContent:
    """The content of a result."""

    files: dict[str, bytes] = field(default_factory=dict)  # all but reports and logs, by path in their part
    outcomes: list[RunOutcome] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)  # ends of the logs of jobs without a report


def read_result(folder: Path) -> ResultContent:
    """Read a folder with one report, or with one subfolder per job."""
    if not folder.is_dir():
        raise InputError(
            "there is no such directory", place=str(folder), remedy="Give the folder of the artifact."
        )
    found = sorted(folder.iterdir())
    is_one = not found or {REPORT, LOG} & {path.name for path in found}
    parts = [folder] if is_one else found
    if len(parts) > MAX_PARTS:
        raise CheckFailed(f"the result has {len(parts)} parts", place=str(folder), remedy=_REMEDY)
    result = ResultContent()
    size = 0
    for part in parts:
        size += _read_part(part, result)
        if size > MAX_WHOLE:
            raise CheckFailed(
                f"the result has more than {MAX_WHOLE:,} bytes", place=str(folder), remedy=_REMEDY
            )
    return result


def _read_part(part: Path, result: ResultContent) -> int:
    files: dict[str, bytes] = {}
    _walk(part, "", files)
    size = sum(map(len, files.values()))
    report = files.pop(REPORT, None)
    log = files.pop(LOG, b"")
    if report is not None:
        result.outcomes.append(_outcome(report, part / REPORT))
    else:
        result.logs.append(log.decode("utf-8", "replace"))
    for path, data in files.items():
        if path in result.files:
            raise CheckFailed(
                "two parts of the result hold this file", place=repr(path[:200])[1:-1], remedy=_REMEDY
            )
        result.files[path] = data
    return size


def _walk(folder: Path, prefix: str, files: dict[str, bytes]) -> None:
    if prefix.count("/") > 6:
        raise CheckFailed("the result has too many nested folders", place=prefix[:200], remedy=_REMEDY)
    mode = folder.lstat().st_mode
    if not stat.S_ISDIR(mode):
        raise _strange(prefix or folder.name)
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda item: item.name):
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                _walk(folder / entry.name, f"{path}/", files)
                continue
            if not entry.is_file(follow_symlinks=False):
                raise _strange(path)
            if len(files) > MAX_FILES:
                raise CheckFailed(f"the result has more than {MAX_FILES} files", remedy=_REMEDY)
            files[path] = _bytes(folder / entry.name, path)


def _bytes(file: Path, path: str) -> bytes:
    limit = MAX_REPORT if path == REPORT else MAX_FILE
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _strange(path) from error
    with os.fdopen(descriptor, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if path == LOG:
            stream.seek(max(0, size - LOG_SHOWN))
        elif size > limit:
            raise CheckFailed(
                f"this file has more than {limit:,} bytes", place=repr(path[:200])[1:-1], remedy=_REMEDY
            )
        return stream.read(limit)


def _strange(path: str) -> CheckFailed:
    return CheckFailed(
        "the result contains a link or a special file", place=repr(path[:200])[1:-1], remedy=_REMEDY
    )


def _outcome(report: bytes, place: Path) -> RunOutcome:
    from jsonschema import Draft202012Validator

    try:
        data: Any = json.loads(report)
    except (ValueError, RecursionError) as error:
        raise CheckFailed("the report is not JSON", place=str(place), remedy=_REMEDY) from error
    problem = next(iter(Draft202012Validator(json_schema(RunOutcome)).iter_errors(data)), None)
    if problem is not None:
        where = "/".join(map(str, problem.absolute_path))
        raise CheckFailed(
            "the report is not as its schema says",
            place=f"{place}: {where[:200]}",
            remedy=f"{_REMEDY} Generator and publisher must be of the same version.",
        )
    del data["format"]
    return typed(RunOutcome, data, source=str(place))
