"""Take credentials out of text before anyone reads it (rule S4)."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["redact"]

HIDDEN = "***"

_PATTERNS = (
    # The user part of a URL: a token may stand alone there, without a password.
    (re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://)[^\s/@]+@", re.IGNORECASE), rf"\g<keep>{HIDDEN}@"),
    # A password that itself holds slashes or at signs, as people paste them.
    (re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s/@:]+:)\S+(?=@)", re.IGNORECASE), rf"\g<keep>{HIDDEN}"),
    (re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,})"), HIDDEN),
    (
        re.compile(
            r"(?P<keep>\b(?:proxy-)?authorization:\s*(?:(?:basic|bearer|token)\s+)?)[^\s'\"]+", re.IGNORECASE
        ),
        rf"\g<keep>{HIDDEN}",
    ),
    (
        re.compile(
            r"(?P<keep>\b(?:PG)?(?:password|passwd|secret|token)\s*=\s*)(?:'[^']*'|\"[^\"]*\"|[^\s&]+)",
            re.IGNORECASE,
        ),
        rf"\g<keep>{HIDDEN}",
    ),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace what looks like a credential, and the given secrets, by stars.

    Parameters
    ----------
    text
        Any text: a command line, the output of a program, a URL.
    secrets
        Values known to be secret; empty ones are passed over.

    Returns
    -------
    str
        The text without them.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
