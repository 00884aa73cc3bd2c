"""Take credentials, and what cannot be seen, out of text before anyone reads it (rules S4 and S5)."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "***"

# Control characters, and those that change the direction of text: what is read is not what is there.
UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
    r"\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Mark in a text each character that cannot be seen."""
    return UNSEEN.sub("\ufffd", text.replace("\r\n", "\n"))


_NAME = r"(?:[\w-]*(?:password|passwd|secret|token|api[_-]?key))"
_PATTERNS = (
    # The user part of a URL, up to the last at sign before a blank: pasted passwords hold any character, and
    # a token may stand there alone.
    r"(?P<keep>\b[a-z][a-z0-9+.-]*://)[^\s'\"<>]+@",
    # Tokens of apps and jobs are ghs_APPID_JWT, with dots and dashes.
    r"\bgh[pousr]_[\w.-]{15,}\w",
    r"\bgithub_pat_\w{16,}",
    r"(?P<keep>\bauthorization['\"]?\s*[:=]\s*['\"]?(?:(?:basic|bearer|token)\s+)?)(?!\$\{\{)[^\s'\"]+",
    rf"(?P<keep>\b{_NAME}['\"]?\s*[:=]\s*)(?!\$\{{\{{)(?:'[^']*'|\"[^\"]*\"|[^\s&'\",;]+)",
)
_COMPILED = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _PATTERNS)


_remembered: tuple[str, ...] = ()


def remember(secrets: Iterable[str]) -> None:
    """Have `conceal` hide these values from now on, and no others."""
    global _remembered
    _remembered = tuple(sorted(set(secrets), key=len, reverse=True))


def conceal(text: str) -> str:
    """Replace the remembered secrets, and nothing else, by stars."""
    for secret in _remembered:
        text = text.replace(secret, HIDDEN)
    return text


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace whatever looks like a credential, and the given secrets, by stars."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = conceal(text)
    for pattern in _COMPILED:
        text = pattern.sub(
            lambda found: (found.groupdict().get("keep") or "") + HIDDEN + _end(found[0]), text
        )
    return text


def _end(found: str) -> str:
    return "@" if found.endswith("@") else ""
