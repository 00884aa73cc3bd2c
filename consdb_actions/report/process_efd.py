"""Texts of a copy of EFD schemas: pull request and reports."""

from __future__ import annotations

from typing import Any

from consdb_actions.process.efd import EfdCopy, EfdOrigin, EfdSource, efd_mark
from consdb_actions.report.markdown import bullets, code, escape

__all__ = [
    "FORMAT",
    "copy_body",
    "copy_message",
    "copy_title",
    "render_json",
    "render_markdown",
    "render_text",
]

FORMAT = "consdb-actions/process-efd/1"


def copy_title(source: EfdSource) -> str:
    """Return the title of the pull request."""
    return f"{source.ticket}: Copy the schemas of the transformed EFD"


def copy_message(source: EfdSource, copy: EfdCopy) -> str:
    """Return the message of the commit."""
    names = ", ".join(_names(copy))
    return f"{copy_title(source)}\n\n{names} from {source.name} at {source.commit[:12]}."


def copy_body(source: EfdSource, copy: EfdCopy) -> str:
    """Return the body of the pull request, with the marker of its source."""
    what = f"[{escape(source.name)}]({source.url})" if source.url else escape(source.name)
    link = f"https://github.com/{source.repository}/commit/{source.commit}"
    blocks = [
        efd_mark(EfdOrigin(source.name, source.commit)),
        f"The schemas of the transformed EFD are made in {escape(source.repository)}. This copies the "
        f"differing files, from {what} at [{code(source.commit[:8])}]({link}):",
        bullets(f"{code(name)}{' (new)' if name in copy.new else ''}" for name in _names(copy)),
        "Change a schema there, not here: the copy is updated when it changes, unless the file was edited "
        "here. News fragments are not touched.",
    ]
    if copy.only_there:
        names = ", ".join(code(name) for name in copy.only_there)
        blocks.append(f"Only here, and unchanged: {names}.")
    return "\n\n".join(blocks)


def render_text(source: EfdSource, copy: EfdCopy, action: str, url: str, done: bool) -> str:
    """Render the result for a terminal."""
    lines = [
        f"{source.name} at {source.commit[:8]}: {_outcome(copy, action, done)}{f', {url}' if url else ''}"
    ]
    lines += [f"  {'new' if name in copy.new else 'changed':<9} {name}" for name in _names(copy)]
    lines += [f"  equal     {name}" for name in copy.equal]
    lines += [f"  left out  {name}" for name in copy.left_out]
    lines += [f"  only here {name}" for name in copy.only_there]
    return "\n".join(lines)


def render_markdown(source: EfdSource, copy: EfdCopy, action: str, url: str, done: bool) -> str:
    """Render the result for a summary."""
    words = _outcome(copy, action, done)
    text = f"### Copy of EFD schemas\n\n{escape(source.name)}: {words}"
    text += f" [{escape(url)}]({url})" if url else ""
    return text + (f"\n\n{bullets(code(name) for name in _names(copy))}" if copy.files else "")


def render_json(
    source: EfdSource, copy: EfdCopy, action: str, number: int | None, url: str, done: bool
) -> dict[str, Any]:
    """Return the result as JSON data, described by ``process-efd.schema.json``."""
    return {
        "format": FORMAT,
        "source": source.name,
        "commit": source.commit,
        "ticket": source.ticket,
        "action": action,
        "done": done,
        "number": number,
        "url": url,
        "files": sorted(copy.files),
        "new": list(copy.new),
        "equal": list(copy.equal),
        "left_out": list(copy.left_out),
        "only_there": list(copy.only_there),
    }


def _names(copy: EfdCopy) -> list[str]:
    return sorted(path.rpartition("/")[2] for path in copy.files)


def _outcome(copy: EfdCopy, action: str, done: bool) -> str:
    if not copy.files:
        return "nothing differs"
    if action in ("opened", "updated"):
        what = "a pull request" if action == "opened" else "the pull request"
        return f"{what} {'was' if done else 'would be'} {action}"
    return "the pull request is there already"
