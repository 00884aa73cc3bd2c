"""The releases on the board: what is in which, and where it runs."""

from __future__ import annotations

from consdb_actions.deploy.components import short_names
from consdb_actions.process.board import Board, Released
from consdb_actions.release.notes import Migration, PullRequest, ReleaseNotes
from consdb_actions.report.board_parts import alert, alerts, badge
from consdb_actions.report.elements import Html, Part, day, element, isolated, joined, link, prose, separated
from consdb_actions.report.release_notes import extent

__all__ = ["releases"]

OPEN = 6
"""Operations of a migration that are not folded."""


def releases(board: Board) -> Html:
    """Return the releases, the newest first."""
    shelf = board.releases
    parts: list[Part] = []
    if shelf.trouble:
        trouble = prose(shelf.trouble)
        parts.append(alerts([alert("bad", "What is in the releases is not known: ", trouble, ".")]))
    elif not shelf.items:
        parts.append(element("p", "There is no release yet."))
    parts += [_release(board, item) for item in shelf.items]
    if shelf.older:
        words = f"{shelf.older} older release{'' if shelf.older == 1 else 's'}"
        parts.append(element("p", link(words, f"{shelf.web}/tags"), class_="small"))
    return joined(parts)


def _release(board: Board, item: Released) -> Html:
    """Return one release."""
    flags = [] if item.annotated else [badge("lightweight tag")]
    date: Part = ["commit of ", day(item.at)] if item.of_commit else day(item.at)
    if item.at is None:
        date = "of an unknown day"
    facts: list[Part] = []
    if item.notes is not None:
        words = extent(item.notes)
        facts.append(f"{words[:1].upper()}{words[1:]}. ")
    places = _places(board, item.tag)
    if places:
        facts.append(f"Runs at {places}. ")
    elif board.environments.drift is not None and item is board.releases.items[0]:
        facts.append("Runs nowhere yet. ")
    brought = board.brought_by(item.tag)
    if brought:
        links = [
            element("a", f"#{c.facts.pull.number}", href=f"#change-{c.facts.pull.number}") for c in brought
        ]
        facts.append(["Brings the migration of ", separated(links, ", "), "."])
    body: list[Part] = []
    if item.trouble:
        body.append(alerts([alert("bad", "What it holds is not known: ", prose(item.trouble), ".")]))
    if item.notes is not None:
        body += [_migrations(item.notes), _pulls(item.notes, board.releases.web)]
    return element(
        "article",
        element(
            "div",
            element("h3", link(item.tag, item.url)),
            element("span", date, class_="muted"),
            flags,
            class_="title",
        ),
        element("p", facts, class_="muted small"),
        body,
        class_="sheet release",
        id=f"release-{item.tag}",
    )


def _places(board: Board, tag: str) -> str:
    """Say where a release runs: environments, with the components where they are not all."""
    drift = board.environments.drift
    found = []
    there = [item for item in drift.standings if item.app == "consdb" and item.enabled] if drift else []
    for name in dict.fromkeys(item.environment for item in there):
        every = [item.component for item in there if item.environment == name]
        some = [item.component for item in there if item.environment == name and item.tag.text == tag]
        if some:
            found.append(
                name if len(some) == len(every) else f"{name} ({', '.join(short_names(some, every))})"
            )
    return ", ".join(found)


def _migrations(notes: ReleaseNotes) -> list[Part]:
    """Return what happens to the database, section by section."""
    if notes.contents.previous is None:
        return []
    if not notes.sections and not notes.contents.changed:
        return [element("p", "The databases stay as they are.", class_="small")]
    entries: list[Part] = []
    for section, migrations in notes.sections:
        entries.append(element("dt", section))
        entries += [element("dd", _migration(item)) for item in migrations]
    parts: list[Part] = [element("h4", "Migrations")]
    if entries:
        parts.append(element("dl", entries, class_="migrations"))
    parts.append(
        alerts(
            alert("warn", element("code", path), f", of an earlier release, was {how}.")
            for path, how in notes.contents.changed
        )
    )
    return parts


def _migration(item: Migration) -> list[Part]:
    """Return one migration with what it does."""
    parts: list[Part] = [isolated(item.title or item.path)]
    if item.revision:
        parts += [" ", element("code", item.revision, class_="muted")]
    if item.operations:
        listed = element("ul", [element("li", prose(words)) for words in item.operations], class_="small")
        count = len(item.operations)
        if count > OPEN:
            parts.append(element("details", element("summary", f"{count} operations"), listed))
        else:
            parts.append(listed)
    return parts


def _pulls(notes: ReleaseNotes, web: str) -> list[Part]:
    """Return the pull requests, by ticket."""
    lines = [
        element("li", element("strong", topic.name), " ", [_pull(pull, web) for pull in topic.pulls])
        for topic in notes.topics
    ]
    lines += [element("li", _pull(pull, web)) for pull in notes.others]
    if not lines:
        return []
    return [element("h4", "Pull requests"), element("ul", lines, class_="plain")]


def _pull(pull: PullRequest, web: str) -> list[Part]:
    number = link(f"#{pull.number}", f"{web}/pull/{pull.number}")
    return [isolated(pull.title), " (", number, f", {pull.author}" if pull.author else "", ") "]
