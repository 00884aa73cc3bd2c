"""What a commit changes in the schemas, as digests (rule A2)."""

from __future__ import annotations

import difflib
import hashlib

from consdb_actions.adapters.github.contents import Contents, UnreachableError, Wanted
from consdb_actions.adapters.schema_yaml import read_yaml
from consdb_actions.approval.facts import UNCHANGED, Change, CommitChange
from consdb_actions.errors import InputError
from consdb_actions.schema.compare import compare
from consdb_actions.schema.digest import digest_delta
from consdb_actions.schema.model import Schema

__all__ = ["change_of_file", "changes_at"]

MAX_LINES = 60_000
"""Lines of both versions up to which they are compared; the largest real schema file has about 7,000."""

DIGITS = 32
"""Hexadecimal digits kept of a digest: 128 bits, so that a comment has room for many."""


def changes_at(contents: Contents, base: str, commit: str, wanted: Wanted) -> CommitChange:
    """Compare the schemas at a commit with those at the point where it left the base branch."""
    try:
        fork = contents.fork_point(base, commit)
        before, after = contents.files(fork, wanted), contents.files(commit, wanted)
    except UnreachableError as error:
        return CommitChange(commit, problem=error.cause)
    changes = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new:
            changes.append(_change(contents, path, old, new))
    return CommitChange(commit, tuple(changes))


def _change(contents: Contents, path: str, old: str | None, new: str | None) -> Change:
    """Compare two blobs; one that is too large to be a schema is known by its name alone."""
    try:
        return change_of_file(path, contents.blob(old) if old else None, contents.blob(new) if new else None)
    except InputError:
        return Change(path, "", "", f"{old or 'none'}:{new or 'none'}"[-80:])


def change_of_file(path: str, old: bytes | None, new: bytes | None) -> Change:
    """Compare two versions of a schema file."""
    verbatim = _verbatim(old, new)
    try:
        before, after = _schema(path, old), _schema(path, new)
    except InputError:
        return Change(path, "", "", verbatim)
    digest = digest_delta(compare(before, after))
    # A schema against itself has the digests of no change.
    same = after or before
    nothing = digest_delta(compare(same, same))
    return Change(
        path,
        UNCHANGED if digest.structure == nothing.structure else digest.structure[:DIGITS],
        UNCHANGED if digest.text == nothing.text else digest.text[:DIGITS],
        verbatim,
    )


def _schema(path: str, data: bytes | None) -> Schema | None:
    """Read a schema as data; nothing in it is executed."""
    return None if data is None else read_yaml(data, source=path).schema


def _verbatim(old: bytes | None, new: bytes | None) -> str:
    """Digest the changed lines with three lines around each, but not where in the file they stand.

    This is what ``git patch-id --verbatim`` does: a rebase over a change elsewhere leaves it as it is.
    """
    before, after = ((data or b"").decode("utf-8", "surrogateescape").splitlines() for data in (old, new))
    if len(before) + len(after) > MAX_LINES:
        # Comparing that many lines could take for ever: the versions as a whole are the change.
        whole = hashlib.sha256(b"%d:" % len(old or b"") + (old or b"") + (new or b""))
        return whole.hexdigest()[:DIGITS]
    diff = list(difflib.unified_diff(before, after, n=3, lineterm=""))[2:]
    lines = ["@@" if line.startswith("@@") else line for line in diff]
    content = "\n".join([str(old is None), str(new is None), *lines])
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
