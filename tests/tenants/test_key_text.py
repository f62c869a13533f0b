"""The text of API keys, and the headers that carry it."""

import pytest

from aiinfra.tenants import key_text

ISSUED = "aik_Ab3dE6gH_x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1_3q6hFY"
"""A key of an earlier version."""


def test_key_of_an_earlier_version_is_still_well_formed() -> None:
    credential = key_text.parse(f"Bearer {ISSUED}")
    assert credential is not None
    assert (credential.key_id, credential.secret) == ("Ab3dE6gH", "x1" * 16)


def test_new_keys_differ_and_contain_their_id_and_secret() -> None:
    made = [key_text.new() for _ in range(2)]
    for key_id, secret, text in made:
        credential = key_text.parse(f"Bearer {text}")
        assert credential is not None
        assert (credential.key_id, credential.secret) == (key_id, secret)
    assert len({key_id for key_id, _, _ in made}) == len({secret for _, secret, _ in made}) == 2


@pytest.mark.parametrize(
    ("meta", "header"),
    [
        ({}, ""),
        ({"HTTP_AUTHORIZATION": "Bearer a"}, "Bearer a"),
        ({"HTTP_AUTHORIZATION": "Basic a"}, "Basic a"),
        ({"HTTP_X_API_KEY": "b"}, "Bearer b"),
        ({"HTTP_X_API_KEY": ""}, ""),
        ({"HTTP_AUTHORIZATION": "Basic a", "HTTP_X_API_KEY": ""}, "Basic a"),
        ({"HTTP_AUTHORIZATION": "Basic a", "HTTP_X_API_KEY": "b"}, "Bearer b"),
        ({"HTTP_AUTHORIZATION": "bEARER a", "HTTP_X_API_KEY": "b"}, "bEARER a"),
    ],
)
def test_x_api_key_is_used_unless_authorization_has_a_bearer_key(meta: dict[str, str], header: str) -> None:
    assert key_text.header_of(meta) == header
