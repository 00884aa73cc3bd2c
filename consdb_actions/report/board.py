"""The board as a page: one file of HTML, without a script, a font or a picture, that loads nothing."""

from __future__ import annotations

from datetime import UTC

from consdb_actions.process.board import Board
from consdb_actions.process.states import Standing
from consdb_actions.report.board_changes import changes, overview
from consdb_actions.report.board_environments import environments
from consdb_actions.report.board_parts import standing_mark
from consdb_actions.report.board_releases import releases
from consdb_actions.report.board_style import style_sheet
from consdb_actions.report.board_text import counted
from consdb_actions.report.elements import Html, Part, day, element, text

__all__ = ["render_html"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What the page may load: its own style, and nothing else."""

_LEGEND = (
    (Standing.DONE, "there is evidence of it, or somebody on the roster has attested to it"),
    (Standing.NEXT, "all that comes before is done"),
    (Standing.WAITING, "something before it is not done"),
    (Standing.STALE, "it was done for another state of the change"),
    (Standing.OUT_OF_ORDER, "it was done before something that comes first"),
    (Standing.UNKNOWN, "it could not be looked up, and is not taken for done"),
)


def render_html(board: Board) -> str:
    """Write the page.

    Parameters
    ----------
    board
        What it shows.

    Returns
    -------
    str
        A whole HTML document; the same board gives the same bytes.
    """
    moment = board.now.astimezone(UTC)
    sections = (
        ("next", "What is next", overview(board)),
        ("changes", "Open changes", changes(board)),
        ("environments", "What runs where", environments(board.environments, board.today)),
        ("releases", "Releases of consdb", releases(board)),
    )
    shown = [item for item in sections if item[0] != "changes" or board.changes]
    navigation = element(
        "nav",
        element("ul", [element("li", element("a", title, href=f"#{name}")) for name, title, _ in shown]),
        aria_label="On this page",
    )
    header = element(
        "header",
        element("a", "Skip to the changes", href="#next", class_="skip"),
        element("h1", "ConsDB schema changes"),
        element(
            "p",
            board.repository,
            ", as of ",
            element("time", f"{moment:%Y-%m-%d %H:%M} UTC", datetime=f"{moment:%Y-%m-%dT%H:%M:%SZ}"),
            class_="muted",
        ),
        navigation,
        _glance(board),
    )
    main = element(
        "main",
        [
            element("section", element("h2", title, id=name), body, aria_labelledby=name)
            for name, title, body in shown
        ],
    )
    legend = [element("li", standing_mark(standing), " ", words) for standing, words in _LEGEND]
    footer = element(
        "footer",
        element("h2", "How to read this", class_="minor"),
        element("ul", legend, class_="plain"),
        element(
            "p",
            "Everything here is read from the repositories each time the page is made. "
            "The names of steps are those that ",
            element("code", "/consdb done STEP"),
            " takes in a comment on the pull request. The same as data: ",
            element("a", "board.json", href="board.json"),
            ".",
        ),
    )
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n'
        "<head>\n"
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>ConsDB schema changes, {text(board.repository)}</title>\n"
        f"<style>\n{style_sheet()}</style>\n"
        "</head>\n"
        f"<body>\n{header}\n{main}\n{footer}\n</body>\n"
        "</html>\n"
    )


def _glance(board: Board) -> Html:
    """Return the whole in four facts."""
    attention = sum(change.needs_attention for change in board.changes)
    words = [f"{attention} need{'s' if attention == 1 else ''} attention"] if attention else []
    words += [f"{len(board.unread)} could not be looked at"] if board.unread else []
    facts: list[tuple[str, Part, Part]] = [
        ("Open changes", str(len(board.changes)), ", ".join(words) or "none needs attention"),
    ]
    if board.waiting:
        (owner, count), *others = board.waiting
        more = ", ".join(f"{name} {number}" for name, number in others)
        facts.append(("Waiting for", f"{owner} {count}", more))
    facts.append(("What runs where", counted(board.environments), ""))
    if board.releases.items:
        newest = board.releases.items[0]
        when = day(newest.at) if newest.at is not None else ""
        facts.append(("Newest release", newest.tag, when))
    return element(
        "dl",
        [
            element("div", element("dt", name), element("dd", first), element("dd", rest) if rest else None)
            for name, first, rest in facts
        ],
        class_="glance",
    )
