"""Parts of the board: tables that fold into cards, marks with a sign and a word, alerts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from consdb_actions.deploy.drift import Severity
from consdb_actions.process.states import Standing
from consdb_actions.report.elements import Html, Part, element, spoken

__all__ = ["SEVERITIES", "STANDINGS", "alert", "alerts", "badge", "cards", "severity_mark", "standing_mark"]

STANDINGS = {
    Standing.DONE: ("good", "✓"),
    Standing.NEXT: ("now", "▸"),
    Standing.WAITING: ("plain", "○"),
    Standing.STALE: ("warn", "↻"),
    Standing.OUT_OF_ORDER: ("warn", "!"),
    Standing.UNKNOWN: ("warn", "?"),
}
"""Tone and sign of each standing; the word stands beside it or is spoken."""

SEVERITIES = {
    Severity.ERROR: ("bad", "✕", "error"),
    Severity.WARNING: ("warn", "!", "warning"),
    Severity.INFO: ("quiet", "i", "note"),
}
"""Tone, sign and word of each severity."""


def cards(
    headings: Sequence[str], rows: Iterable[Sequence[Part]], caption: str, *, wide: bool = False
) -> Html:
    """Return a table whose rows are stacked on a narrow screen, where each cell says its heading."""
    # Roles are said explicitly, since browsers drop those of tables that are laid out as blocks.
    head = element(
        "tr",
        [element("th", name, scope="col", role="columnheader") for name in headings],
        role="row",
    )
    body = []
    for first, *others in rows:
        cells = [element("th", first, scope="row", role="rowheader")]
        for name, cell in zip(headings[1:], others, strict=True):
            empty = cell is None or cell == "" or cell == []
            label = element("span", name, class_="label", aria_hidden="true")
            value = None if empty else [label, element("div", cell)]
            cells.append(element("td", value, role="cell"))
        body.append(element("tr", cells, role="row"))
    return element(
        "table",
        element("caption", spoken(caption)),
        element("thead", head, role="rowgroup"),
        element("tbody", body, role="rowgroup"),
        role="table",
        class_="cards wide" if wide else "cards",
    )


def standing_mark(standing: Standing) -> Html:
    """Return a standing as a sign with its word."""
    tone, sign = STANDINGS[standing]
    return element(
        "span", element("span", sign, aria_hidden="true"), f" {standing}", class_=f"mark mark-{tone}"
    )


def severity_mark(severity: Severity, *, brief: bool = False) -> Html:
    """Return a severity as a sign with its word, which is only spoken where it is to be brief."""
    tone, sign, word = SEVERITIES[severity]
    shown: Part = spoken(word) if brief else f" {word}"
    return element("span", element("span", sign, aria_hidden="true"), shown, class_=f"mark mark-{tone}")


def badge(word: str) -> Html:
    """Return a word that says what something is."""
    return element("span", word, class_="mark mark-quiet")


def alert(tone: str, *words: Part) -> Html:
    """Return something that a reader should not miss: ``warn`` or ``bad``."""
    return element("li", element("span", words), class_=tone)


def alerts(items: Iterable[Html]) -> Html | None:
    """Return a list of alerts; nothing without any."""
    listed = list(items)
    return element("ul", listed, class_="alerts") if listed else None
