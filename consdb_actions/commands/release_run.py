"""Make one release: read, decide, act; and read again after a conflict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from consdb_actions.adapters.github import Clock
from consdb_actions.adapters.github.releases import MARK, Releaser, ReleaseReader, TagTakenError
from consdb_actions.adapters.registry import ImageManifest, Registry
from consdb_actions.release.notes import arrange
from consdb_actions.release.versions import ReleasePolicy, decide
from consdb_actions.report.release import ReleaseOutcome, render_message, render_notes

AGAIN = 3  # How often the tags are read again when one of the same name has appeared (rule R2)
ACTIONS = "github-actions[bot]"
BETWEEN_LOOKS = 15.0  # Seconds between two looks for the images


@dataclass(frozen=True, slots=True)
class ReleaseOptions:
    """Options of a release."""

    commit: str | None  # None: the newest of the default branch
    tag: str | None  # The version that the caller expects; None: the next one
    now: datetime  # Time of tagging


def make_release(
    reader: ReleaseReader,
    releaser: Releaser | None,
    repository: str,
    wanted: ReleaseOptions,
    policy: ReleasePolicy,
    tickets: Sequence[str],
) -> ReleaseOutcome:
    """Tag a commit and make the GitHub release, unless they exist."""
    for left in reversed(range(AGAIN + 1)):
        plan = decide(reader.facts(wanted.commit, wanted.now), policy, wanted.tag)
        plan.check()
        notes = arrange(reader.contents(plan.previous, plan.commit, policy), tickets)
        message = render_message(notes, repository.partition("/")[2], plan.tag, MARK)
        markdown = render_notes(notes, plan.tag, reader.html_url, policy.images)
        created = False
        if releaser is not None and plan.action == "create":
            try:
                releaser.tag(plan.tag, plan.commit, message, wanted.now)
            except TagTakenError:
                if not left:
                    raise
                continue
            created = True
        break
    url, released = f"{reader.html_url}/releases/tag/{plan.tag}", False
    warnings = list(plan.remarks)
    if releaser is not None and plan.action != "nothing":
        url, released = releaser.release(plan.tag, markdown)
        if created and policy.images and releaser.identity() == ACTIONS:
            warnings.append(
                "the tag was made with the workflow's own token, for which GitHub starts no workflow: "
                "if the images are built on new tags, start that build by hand, or use the token of an app"
            )
    dry_run = releaser is None
    return ReleaseOutcome(
        repository, plan, created, released, dry_run, url, notes, message, markdown, tuple(warnings)
    )


def wait_for_images(
    registry: Registry,
    images: Sequence[str],
    tag: str,
    seconds: float,
    clock: Clock,
    say: Callable[[str], None],
) -> Mapping[str, ImageManifest | None]:
    """Look up images until all exist, or until the time-out."""
    found: dict[str, ImageManifest | None] = dict.fromkeys(images)
    start = clock.now()
    while True:
        for image in images:
            if found[image] is None and (there := registry.find(image, tag)) is not None:
                found[image] = there
                say(f"{image}:{tag} is there, {there.digest[:19]}")
        missing = [image for image, there in found.items() if there is None]
        waited = clock.now() - start
        if not missing or waited >= seconds:
            return found
        say(f"after {waited:.0f} of {seconds:.0f} s: waiting for {', '.join(missing)}")
        clock.sleep(min(BETWEEN_LOOKS, seconds - waited))
