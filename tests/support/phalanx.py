"""Values files like the real ones, and repositories in which they are deployed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consdb_actions.deploy.model import DeployPolicy, Values, default_files, values_file
from consdb_actions.deploy.values import parse_values
from tests.support.github.things import Repo
from tests.support.github.world import World, copied
from tests.support.registry import RegistryDouble
from tests.support.trees import revision_text

PHALANX, CONSDB, SDM = "lsst-sqre/phalanx", "lsst-dm/consdb", "lsst/sdm_schemas"
TOKEN = "token-of-actions"
DATALINK = "https://github.com/lsst/sdm_schemas/releases/download/{}/datalink-snippets.zip"

OFF = {"usdfdev", "usdfint", "usdfprod"}
"""Environments where no instrument is enabled."""


def consdb_file(environment: str, tag: str, **tags: str) -> str:
    """Write the values of consdb in an environment; `latiss`, `lsstcam` and `pq` may have own tags."""
    on = "false" if environment in OFF else "true"
    return (
        f"# ConsDB at {environment}\n"
        "db:\n"
        f'  host: "db.{environment}.example.org"\n'
        "hinfo:\n"
        "  latiss:\n"
        f"    enable: {on}\n"
        f'    tag: "{tags.get("latiss", tag)}"  # one camera\n'
        "  lsstcam:\n"
        f"    enable: {on}\n"
        f"    tag: '{tags.get('lsstcam', tag)}'\n"
        "pq:\n"
        "  image:\n"
        f'    tag: "{tags.get("pq", tag)}"\n'
        "\n"
        "resources: {}\n"
    )


def tap_file(environment: str, tag: str, week: str, *, always: bool = False) -> str:
    """Write the values of consdbtap in an environment."""
    kind = "dev" if environment == "usdfdev" else "prod"
    policy = '      pullPolicy: "Always"\n' if always else ""
    return (
        "cadc-tap:\n"
        "  tapSchema:\n"
        "    image:\n"
        f'      repository: "lsstsqre/tap-schema-usdf-{kind}-cdb"\n'
        f'      tag: "{tag}"\n'
        f"{policy}"
        "  config:\n"
        f'    datalinkPayloadUrl: "{DATALINK.format(week)}"\n'
    )


DEFAULTS = {
    "applications/consdb/values.yaml": (
        "hinfo:\n"
        "  image:\n"
        '    pullPolicy: "Always"\n'
        '    repository: "ghcr.io/lsst-dm/consdb-hinfo"\n'
        "pq:\n"
        "  image:\n"
        '    pullPolicy: "Always"\n'
        '    repository: "ghcr.io/lsst-dm/consdb-pq"\n'
        '    tag: ""\n'
    ),
    "applications/consdbtap/values.yaml": "cadc-tap:\n  config:\n    backend: pg\n",
    "charts/cadc-tap/values.yaml": 'tapSchema:\n  image:\n    pullPolicy: "IfNotPresent"\n',
}

ENVIRONMENTS = {"consdb": DeployPolicy().environments, "consdbtap": ("usdfdev", "usdfint", "usdfprod")}


def files_of(tag: str = "26.5.1", week: str = "w.2026.18", **own: str) -> dict[str, str]:
    """Return all files: every environment on the same tag and week, except those given by name.

    ``summit="..."`` is the file of consdb there, ``tap_usdfdev="..."`` that of consdbtap.
    """
    files = dict(DEFAULTS)
    for name in ENVIRONMENTS["consdb"]:
        files[values_file("consdb", name)] = own.get(name.replace("-", "_"), consdb_file(name, tag))
    for name in ENVIRONMENTS["consdbtap"]:
        files[values_file("consdbtap", name)] = own.get(f"tap_{name}", tap_file(name, week, week))
    return files


def values_of(app: str = "consdb", files: Mapping[str, str] | None = None) -> dict[str, Values]:
    """Parse files as values, without any adapter."""
    files = files_of() if files is None else files
    defaults = []
    for path, key in default_files(app):
        if path in files:
            tree = parse_values(files[path], place=path)
            defaults.append({key: tree} if key else tree)
    return {
        name: Values(name, parse_values(files[path], place=path), files[path], tuple(defaults))
        for name in ENVIRONMENTS[app]
        if (path := values_file(app, name)) in files
    }


class Site:
    """The three repositories, and a registry with the images of their tags."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.registry: RegistryDouble | None = None
        self.repo: Repo = world.repo(PHALANX)
        self.consdb: Repo = world.repo(CONSDB)
        self.sdm: Repo = world.repo(SDM)
        world.commit(self.repo, "main", files_of(), author="maintainer")
        self.release("26.5.1")
        self.release("26.6.1", {"alembic/lsstcam/versions/1_abc.py": MIGRATION})
        self.release("26.6.2")
        for week in ("w.2026.18", "w.2026.23"):
            self.week(week)

    def copy(self, root: Path, registry: RegistryDouble | None = None) -> Site:
        """Copy the site into another world, optionally with another registry."""
        twin = copied(self, self.world, root, self.registry)
        if registry is not None:
            twin.registry = registry
            for tag in ("26.5.1", "26.6.1", "26.6.2"):
                twin.images(tag)
            for week in ("w.2026.18", "w.2026.23"):
                twin.tap_images(week)
        return twin

    def files(self, files: Mapping[str, str]) -> None:
        """Replace all files on main."""
        old = dict.fromkeys(files_of())
        self.world.commit(self.repo, "main", {**old, **files}, author="maintainer")

    def release(self, tag: str, files: Mapping[str, str] | None = None) -> str:
        """Merge a change into consdb, tag it, and push its images."""
        self.world.commit(self.consdb, "main", {"README.md": f"{tag}\n"}, message="Begin")
        branch = f"tickets/DM-9{tag.replace('.', '')}"
        self.world.commit(
            self.consdb, branch, {f"notes/{tag}.md": "x\n", **(files or {})}, onto=self.consdb.tip("main")
        )
        pull = self.world.open_pull(self.consdb, branch, title=f"DM-9: What {tag} <brings> @everyone")
        sha = self.world.merge(self.consdb, pull)
        self.consdb.store.set_ref(f"refs/tags/{tag}", sha)
        self.images(tag)
        return sha

    def images(self, tag: str) -> None:
        if self.registry is not None:
            for name in ("hinfo", "pq"):
                self.registry.push(f"lsst-dm/consdb-{name}", tag)

    def tap_images(self, tag: str, *kinds: str) -> None:
        if self.registry is not None:
            for kind in kinds or ("dev", "prod"):
                self.registry.push(f"lsstsqre/tap-schema-usdf-{kind}-cdb", tag)

    def week(self, week: str, *, snippets: bool = True) -> None:
        """Tag a week of sdm_schemas, with its release and images."""
        self.world.commit(self.sdm, "main", {"python/lsst/sdm/schemas/cdb_lsstcam.yaml": f"# {week}\n"})
        self.sdm.store.set_ref(f"refs/tags/{week}", self.sdm.tip("main"))
        self.snippets(week, there=snippets)
        self.tap_images(week)

    def snippets(self, week: str, *, there: bool) -> None:
        """Create the GitHub release of a week."""
        self.sdm.rows.setdefault("releases", []).append(release_payload(week, there=there))

    def text(self, path: str, ref: str = "main") -> str:
        return self.repo.store.git("show", f"{ref}:{path}").decode()

    def values(self, app: str, environment: str, ref: str = "main") -> str:
        return self.text(values_file(app, environment), ref)


MIGRATION = revision_text(
    "abc",
    None,
    'op.add_column("exposure", sa.Column("dome_temp", sa.Double(), nullable=True), schema="cdb_lsstcam")',
    title="Add the temperature of the dome\n\nRevision ID: abc\nRevises:\n",
)


def release_payload(tag: str, *, there: bool) -> dict[str, Any]:
    """Return a GitHub release, with or without the datalink snippets."""
    asset = {"name": "datalink-snippets.zip", "browser_download_url": DATALINK.format(tag)}
    return {
        "url": f"https://api.github.com/repos/{SDM}/releases/1",
        "html_url": f"https://github.com/{SDM}/releases/tag/{tag}",
        "id": 1,
        "tag_name": tag,
        "name": tag,
        "body": "",
        "published_at": "2026-01-01T00:00:00Z",
        "assets": [asset] if there else [],
    }
