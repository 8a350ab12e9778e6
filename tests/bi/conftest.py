from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import override_settings

import tests.bootstrap  # noqa: F401
from headwater.embedded.postgres import Cluster
from policy.tokens import public_jwk
from tests.marts import NORTH, SOUTH, Marts, copy_of_marts
from tests.mirror import Connection, Stream
from tests.readers import Person, person


@pytest.fixture
def marts(warehouse: Cluster) -> Iterator[Marts]:
    with copy_of_marts(warehouse) as database:
        yield database


@pytest.fixture
def owner(marts: Marts) -> Iterator[Connection]:
    with marts.connect() as connection:
        yield connection


@pytest.fixture
def stream(owner: Connection) -> Stream:
    return Stream(owner)


@pytest.fixture(scope="session")
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture(autouse=True)
def _installation(marts: Marts, key: Ed25519PrivateKey, tmp_path: Path) -> Iterator[None]:
    """The read API over this test's warehouse, with identity's published key."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [public_jwk("k1", key.public_key())]}))
    with override_settings(ROOT_URLCONF="headwater.urls", HEADWATER_JWKS=jwks, HEADWATER_WAREHOUSE=marts.dsn("wh_api")):
        yield


@pytest.fixture
def alice(key: Ed25519PrivateKey) -> Person:
    """A sales rep of the north."""
    return person(key, 1, "sales_rep", territory=NORTH)


@pytest.fixture
def bob(key: Ed25519PrivateKey) -> Person:
    """Of the north, without a role."""
    return person(key, 2, territory=NORTH)


@pytest.fixture
def charlie(key: Ed25519PrivateKey) -> Person:
    """A sales rep of the south."""
    return person(key, 3, "sales_rep", territory=SOUTH)


@pytest.fixture
def settings_dsn() -> Iterator[Callable[[str], None]]:
    """Points the read API at another warehouse for the rest of the test."""
    with ExitStack() as stack:
        yield lambda dsn: stack.enter_context(override_settings(HEADWATER_WAREHOUSE=dsn))
