"""Rule S4: no credential is shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.adapters.github import connect
from consdb_actions.adapters.runner import remember_secrets
from consdb_actions.cli import main
from consdb_actions.redaction import UNSEEN, conceal, redact
from tests.support.github import World
from tests.support.github.plugin import Double


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("git clone https://x-access-token:abc@github.com/a/b", "git clone https://***@github.com/a/b"),
        ("https://ghp_aaaaaaaaaaaaaaaaaaaaaaaa@github.com/a/b", "https://***@github.com/a/b"),
        ("postgresql+psycopg://me:p@ss/wo:rd@db:5432/x failed", "postgresql+psycopg://***@db:5432/x failed"),
        ("two: a://u:p@h/1 b://u:p@h/2", "two: a://***@h/1 b://***@h/2"),
        ("'https://u:p@h/x'", "'https://***@h/x'"),
        ("ghs_0123456789abcdefABCDEF was refused", "*** was refused"),
        ("github_pat_11ABCDEFG0123456789_abcdef", "***"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("AUTHORIZATION: basic QUJD", "AUTHORIZATION: basic ***"),
        ("{'Authorization': 'token abc'}", "{'Authorization': 'token ***'}"),
        ("host=db password='a b' user=me", "host=db password=*** user=me"),
        ("PGPASSWORD=abc GITHUB_TOKEN=def psql", "PGPASSWORD=*** GITHUB_TOKEN=*** psql"),
        ("client_secret: xyz", "client_secret: ***"),
    ],
)
def test_credentials_are_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mail me@example.org",
        "https://github.com/lsst/sdm_schemas/pull/1",
        "https://github.com/lsst/sdm_schemas, ask @someone",
        "@id: #visit1.exposure_id",
        'syntax error at token "FROM"',
        "git@github.com:lsst/sdm_schemas.git",
        "ghs_short",
        "the secretary wrote passwords",
    ],
)
def test_anything_else_stays(text: str) -> None:
    assert redact(text) == text


@given(st.text(), st.lists(st.text(min_size=1, max_size=8)))
def test_given_secrets_are_hidden_wherever_they_stand(text: str, secrets: list[str]) -> None:
    shown = redact(text + "".join(secrets), secrets)
    assert not any(secret in shown for secret in secrets if not set(secret) & set("*@"))


def test_the_longest_secret_goes_first_and_an_empty_one_is_none() -> None:
    assert redact("abcd ab", ["ab", "", "abcd"]) == "*** ***"


def test_g5_tokens_of_todays_form_are_hidden_and_our_own_expressions_are_not() -> None:
    jwt = ".".join(("eyJhbGciOiJSUzI1NiJ9", "eyJpc3MiOiIx-MjM_0NTYifQ" * 15, "c2ln-bmF0_dXJl"))
    for token in (f"ghs_123456_{jwt}", "ghp_" + "a1B2" * 9, "ghs_" + "x" * 36):
        assert redact(f"push with {token}. Then stop.") == "push with ***. Then stop."
    ours = "env: GITHUB_TOKEN: ${{ github.token }}"
    assert redact(ours) == ours
    assert (
        redact("token: ${{ secrets.X }} and password: hunter2") == "token: ${{ secrets.X }} and password: ***"
    )


OPAQUE = 'opaque/value+of no,"known"%form:'


@pytest.fixture
def forgotten() -> Iterator[None]:
    yield
    remember_secrets({})


@pytest.mark.usefixtures("forgotten")
def test_g5_a_credential_of_the_environment_is_hidden_in_every_form() -> None:
    lines = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\n\nshort"
    remember_secrets(
        {"CONSDB_TARGET_TOKEN": f" {OPAQUE}\n", "APP_PRIVATE_KEY": lines, "HOME": "/home/somebody-else"}
    )
    basic = base64.b64encode(f"x-access-token:{OPAQUE}".encode()).decode()
    forms = (OPAQUE, json.dumps(OPAQUE), quote(OPAQUE, safe=""), basic, "MIIEowIBAAKCAQEA")
    for form in forms:
        assert conceal(f"x {form} y").replace('"', "") == "x *** y"
        assert redact(f"x {form} y").replace('"', "") == "x *** y"
    for text in ("short", "/home/somebody-else"):
        assert conceal(text) == text
    remember_secrets({"CONSDB_TARGET_TOKEN": "another of the same length"})
    assert conceal(OPAQUE) == OPAQUE
    remember_secrets({"X_TOKEN": "not UTF-8 \udcff in the environment"})
    assert conceal("not UTF-8 \udcff in the environment") == "***"


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(
    "name", ["GITHUB_TOKEN", "CONSDB_SOURCE_TOKEN", "PGPASSWORD", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
)
def test_g5_nothing_that_a_run_writes_holds_a_token(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    summary = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv(name, OPAQUE)
    for text in (f"{OPAQUE}\u202e\x1b[2J", f"{quote(OPAQUE, safe='')}\u2066```"):
        for args in (["migrations", "preview", f"{tmp_path}/{text}.yaml"], ["deploy", text]):
            assert main(args) == 2
    printed = "".join(capfd.readouterr()) + summary.read_text(encoding="utf-8")
    assert "***" in printed
    assert OPAQUE not in printed
    assert quote(OPAQUE, safe="") not in printed
    assert not UNSEEN.search(printed.replace("\x1b[", "")), "only colours of our own"


@pytest.mark.usefixtures("forgotten")
def test_g5_nothing_that_is_sent_to_github_holds_a_token(world: World, github_double: Double) -> None:
    repo = world.repo("lsst/sdm_schemas")
    world.commit(repo, "main", {"a": "1"})
    world.open_pull(repo, "main")
    remember_secrets({"GITHUB_TOKEN": OPAQUE})
    github = connect("token-of-actions", github_double(world).url)
    github.write("POST", f"/repos/{repo.full_name}/issues/1/comments", {"body": f"a {OPAQUE} b"})
    github.close()
    assert [comment.body for comment in repo.comments] == ["a *** b"]
