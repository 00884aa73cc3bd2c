"""Rule S4: no credential is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.redaction import redact


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
