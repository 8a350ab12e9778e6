"""``GET /api/search``: who may ask, what is answered, and what is refused with which problem."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.http import HttpResponse
from django.test import Client, override_settings

from headwater.embedded.postgres import Cluster
from policy.principal import Principal
from policy.tokens import public_jwk, sign
from search.place import Place
from search.schema import AnswerSchema
from tests.mirror import put
from tests.search.world import ADMIN, NORTH, SOUTH, SUMMIT, Searching, reader, searching_in, seed

KEY = Ed25519PrivateKey.generate()
ALICE = reader("sales_rep", territory=NORTH, user=1)
BOB = reader(territory=NORTH, user=2)
CHARLIE = reader("sales_rep", territory=SOUTH, user=3)


@pytest.fixture(scope="module")
def api(warehouse: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searching]:
    directory = tmp_path_factory.mktemp("api")
    jwks = directory / "jwks.json"
    jwks.write_text(json.dumps({"keys": [public_jwk("k1", KEY.public_key())]}))
    with searching_in(warehouse, Place(directory / "search")) as world:
        world.land(*seed())
        world.settle()
        with override_settings(
            ROOT_URLCONF="headwater.urls",
            HEADWATER_JWKS=jwks,
            HEADWATER_WAREHOUSE=world.dsn("wh_api"),
            HEADWATER_SEARCH=world.place,
        ):
            yield world


def token(who: Principal, *, issued: float | None = None) -> str:
    return sign(who, KEY, "k1", token_id=uuid4(), now=issued)


def get(query: str, who: Principal = ADMIN, **headers: str) -> HttpResponse:
    return Client().get(f"/api/search?{query}", headers={"Authorization": f"Bearer {token(who)}"} | headers)


def problem(answer: HttpResponse) -> dict[str, Any]:
    assert answer["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = json.loads(answer.content)
    assert found["status"] == answer.status_code
    return found


def test_alice_finds_and_bob_and_charlie_find_nothing_of_it(api: Searching) -> None:
    answer = get("q=summit", ALICE)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "private, no-store"
    AnswerSchema.model_validate_json(answer.content)
    found = answer.json()
    assert [group["entity"] for group in found["groups"]] == ["account", "contact", "order"]
    assert found["groups"][0]["hits"][0]["id"] == str(SUMMIT)
    assert found["groups"][0]["hits"][0]["title"]["marks"] == [[0, 6]]
    assert found["watermark"].keys() == {"headwater"}
    for who in (BOB, CHARLIE):
        other = get("q=summit", who).json()
        assert (other["groups"], other["total"], other["completions"], other["suggestions"]) == ([], 0, [], [])


def test_entities_filters_and_pages_are_parameters(api: Searching) -> None:
    first = get("q=so&entity=order&limit=2").json()["groups"][0]
    rest = get(f"q=so&entity=order&limit=2&after={first['after']}").json()["groups"][0]
    assert len({hit["id"] for hit in first["hits"] + rest["hits"]}) == 3
    drafts = get("q=so&filter=status:draft&filter=status:closed").json()["groups"]
    assert [hit["number"] for hit in drafts[0]["hits"]] == ["SO-000124"]
    assert [group["entity"] for group in get("q=summit&entity=account&entity=order").json()["groups"]] == [
        "account",
        "order",
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("q=" + "a" * 10_000, "q"),
        ("q=a&entity=invoice", "entity"),
        ("q=a&limit=0", "limit"),
        ("q=a&limit=many", "limit"),
        ("q=a&limit=%D9%A1", "limit"),
        ("q=a&filter=status", "filter"),
        ("q=a&filter=nothing:x", "filter"),
        ("q=a&after=3", "after"),
        ("q=a&entity=order&after=-1", "after"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(api: Searching, query: str, field: str) -> None:
    answer = get(query)
    assert answer.status_code == 422
    (error,) = problem(answer)["errors"]
    assert error["field"] == field
    assert error["message"]


def test_nobody_and_strangers_are_told_who_they_are_not(api: Searching) -> None:
    assert Client().get("/api/search?q=summit").status_code == 401
    forged = sign(ADMIN, Ed25519PrivateKey.generate(), "k1", token_id=uuid4())
    for bad in ("nonsense", forged, token(ADMIN, issued=time.time() - 700)):
        answer = get("q=summit", Authorization=f"Bearer {bad}")
        assert answer.status_code == 401
        assert problem(answer)["type"] == "urn:headwater:problem:unauthenticated"


def test_a_token_from_before_its_persons_rights_changed_is_refused(api: Searching) -> None:
    changed = int(time.time())
    api.land(put("identity.user_account", id=ALICE.user_id, username="alice", tokens_valid_from=changed))
    with ExitStack() as after:
        after.callback(api.land, put("identity.user_account", id=ALICE.user_id, tokens_valid_from=0))
        old, new = (f"Bearer {token(ALICE, issued=issued)}" for issued in (changed - 1, changed))
        assert get("q=summit", Authorization=old).status_code == 401
        assert get("q=summit", Authorization=new).status_code == 200


def test_only_reading_is_possible(api: Searching) -> None:
    answer = Client().post("/api/search?q=a", headers={"Authorization": f"Bearer {token(ADMIN)}"})
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("silent", ["engine", "index", "warehouse"])
def test_what_gives_no_answer_is_a_503_that_says_so(api: Searching, tmp_path: Path, silent: str) -> None:
    settings: dict[str, Any] = {
        "engine": {"HEADWATER_SEARCH": Place(tmp_path, "http://127.0.0.1:9")},
        "index": {"HEADWATER_SEARCH": Place(tmp_path)},
        "warehouse": {"HEADWATER_WAREHOUSE": "postgresql://wh_api@127.0.0.1:9/none"},
    }
    with override_settings(**settings[silent]):
        answer = get("q=summit")
    assert answer.status_code == 503
    assert silent in problem(answer)["detail"]
    assert answer["Retry-After"] == "1"
