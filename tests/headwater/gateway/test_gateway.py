"""A real nginx in front of Contacts alone, Finance alone, and the web process with the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from headwater.embedded.postgres import free_port
from tests.headwater.gateway.apart import Nginx, Service
from tests.stack import Stack, eventually

ACCOUNTS = "/api/contacts/accounts"
PROFILES = "/api/finance/account-profiles"
USERS = "/api/identity/users"


@pytest.fixture(scope="module")
def services(stack: Stack) -> Iterator[dict[str, Service]]:
    apart = {name: Service(stack, name) for name in ("contacts", "finance")}
    try:
        for service in apart.values():
            service.start()
        yield apart
    finally:
        for service in apart.values():
            service.stop()


@pytest.fixture(scope="module")
def gateway(stack: Stack, services: dict[str, Service]) -> Iterator[Nginx]:
    nginx = Nginx(stack, list(services.values()))
    try:
        assert "test is successful" in nginx.tested()
        nginx.start()
        yield nginx
    finally:
        nginx.close()


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.token()


def refused(answer: httpx.Response, status: int) -> dict[str, object]:
    """The problem of an answer that the gateway gave by itself."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Request-Id"]
    document: dict[str, object] = answer.json()
    assert document["status"] == status
    assert {"type", "title", "detail", "instance", "errors"} <= document.keys()
    return document


def test_each_service_is_asked_where_it_lives(gateway: Nginx, services: dict[str, Service], token: str) -> None:
    request = str(uuid4())
    for path in (ACCOUNTS, PROFILES, USERS, "/api/search?q=x"):
        assert gateway.call("GET", path, token, headers={"Request-Id": request}).status_code == 200, path

    def logged() -> list[dict[str, object]]:
        return [line for line in gateway.log() if line["request_id"] == request]

    # nginx writes a request down after it has answered it.
    eventually(lambda: len(logged()) == 4)
    asked = {line["path"]: str(line["upstream"]).split(", ")[-1] for line in logged()}
    assert asked[ACCOUNTS] == services["contacts"].url.removeprefix("http://")
    assert asked[PROFILES] == services["finance"].url.removeprefix("http://")
    assert asked[USERS] == asked["/api/search"] not in (asked[ACCOUNTS], asked[PROFILES])
    log = (gateway.directory / "access.log").read_text()
    assert token not in log
    assert "q=x" not in log


def test_a_request_has_an_id_and_keeps_its_own(gateway: Nginx, stack: Stack, token: str) -> None:
    made = gateway.call("GET", ACCOUNTS, token).headers["Request-Id"]
    assert UUID(made)
    own = str(uuid4())
    body = {"name": "Gateway Ltd", "account_type": "Customer"}
    answer = gateway.call("POST", ACCOUNTS, token, json=body, headers={"Request-Id": own, "Idempotency-Key": own})
    assert answer.status_code == 201
    assert answer.headers["Request-Id"] == own
    assert answer.headers["ETag"] == '"1"'
    again = gateway.call("POST", ACCOUNTS, token, json=body, headers={"Idempotency-Key": own})
    assert again.headers["Idempotent-Replayed"] == "true"


def test_without_a_live_token_nobody_reaches_a_service(gateway: Nginx, token: str) -> None:
    for given in (None, "nonsense", token[:-4] + "AAAA"):
        request = str(uuid4())
        answer = gateway.call("GET", ACCOUNTS, given, headers={"Request-Id": request})
        assert "The gateway found no live token" in str(refused(answer, 401)["detail"])
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert gateway.call("GET", "/api/token-check", token).status_code == 204
    assert gateway.call("GET", "/_token", token).status_code == 404, "the check itself is no address"
    wrong = gateway.call("POST", "/api/identity/token", json={"username": "nobody", "password": "x"})
    assert wrong.status_code == 401
    assert "gateway" not in wrong.json()["detail"], "logging in needs no token, and identity answers"
    assert gateway.call("GET", "/api/identity/keys").status_code == 200
    assert gateway.call("GET", "/metrics", token).status_code == 404


def test_a_token_that_passes_the_gateway_opens_what_its_owner_may(gateway: Nginx, stack: Stack, token: str) -> None:
    """Alice administers; Bob has no role; Charlie sells, elsewhere. The gateway knows all three for people with live
    tokens and no more: the services tell them apart."""
    account = gateway.call("POST", ACCOUNTS, token, json={"name": "Scoped Ltd"}).json()["account_uuid"]
    people = {"alice": ["admin"], "bob": [], "charlie": ["sales_rep"]}
    seen = {}
    for name, roles in people.items():
        user = {"username": f"{name}-gateway", "display_name": name, "roles": roles}
        assert gateway.call("POST", USERS, token, json=user).status_code == 201
        answer = gateway.call("GET", f"{ACCOUNTS}/{account}", stack.token(user["username"]))
        seen[name] = answer.status_code
        assert "The gateway" not in answer.text
    assert seen == {"alice": 200, "bob": 403, "charlie": 404}


def test_a_revoked_token_ends_at_the_service_at_once_and_at_the_gateway_soon(
    gateway: Nginx, stack: Stack, token: str
) -> None:
    user = {"username": "leaving", "display_name": "Leaving", "roles": ["admin"]}
    key = gateway.call("POST", USERS, token, json=user).json()["id"]
    theirs = stack.token("leaving")
    assert gateway.call("GET", ACCOUNTS, theirs).status_code == 200
    time.sleep(1.1)  # tokens and revocations are told apart by whole seconds
    assert gateway.call("POST", f"{USERS}/{key}/deactivate", token).status_code == 200

    def answer() -> httpx.Response | None:
        found = gateway.call("GET", ACCOUNTS, theirs)
        return found if found.status_code == 401 else None

    first = eventually(answer)
    assert first.headers["Content-Type"] == "application/problem+json"
    at_gateway = eventually(lambda: (found := answer()) and "gateway" in found.json()["detail"] and found)
    refused(at_gateway, 401)


def test_too_large_is_said_before_it_is_sent(gateway: Nginx, token: str) -> None:
    document = refused(gateway.call("POST", f"{ACCOUNTS}/bulk", token, content=b" " * (33 << 20)), 413)
    assert document["type"] == "urn:headwater:problem:too_large"
    refused(gateway.call("POST", "/api/identity/token", content=b" " * (17 << 10)), 413)


def test_a_long_question_gets_through(gateway: Nginx) -> None:
    """The application answers it as it does a short one: whoever has no session is to log in."""
    short, long = (gateway.call("GET", "/search?q=" + "x" * length) for length in (10, 10_000))
    assert long.status_code == short.status_code == 401
    assert "login_username" in long.text
    assert gateway.call("GET", "/search?q=" + "x" * 20_000).status_code == 414


def test_pages_keep_their_headers(gateway: Nginx) -> None:
    page = gateway.call("GET", "/login")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "DENY"


def test_a_service_that_is_down_stops_itself_alone(gateway: Nginx, services: dict[str, Service], token: str) -> None:
    services["finance"].stop()
    try:
        for _ in range(20):
            answer = gateway.call("GET", PROFILES, token)
            document = refused(answer, 503)
            assert document["service"] == "finance"
            assert answer.headers["Retry-After"] == "1"
            for path in (ACCOUNTS, USERS, "/api/search?q=x", "/login"):
                assert gateway.call("GET", path, token).status_code == 200, path
        fresh = refused(gateway.call("GET", ACCOUNTS, "nonsense"), 401)
        assert fresh["status"] == 401, "tokens are checked by who is left"
    finally:
        services["finance"].start()
    assert gateway.call("GET", PROFILES, token).status_code == 200


def test_a_process_that_cannot_check_tokens_leaves_it_to_the_others(
    gateway: Nginx, stack: Stack, services: dict[str, Service]
) -> None:
    tokens = [stack.token() for _ in range(3)]
    with psycopg.connect(stack.config.url(stack.config.oltp, "headwater", "postgres"), autocommit=True) as database:
        database.execute("alter table finance.revocation rename to revocation_away")
        try:

            def alone() -> int:
                bearer = {"Authorization": f"Bearer {tokens[0]}"}
                return httpx.get(f"{services['finance'].url}/api/token-check", headers=bearer).status_code

            eventually(lambda: alone() == 503, what="what it remembers of revocations is two seconds old at most")
            assert [gateway.call("GET", ACCOUNTS, each).status_code for each in tokens] == [200] * 3
        finally:
            database.execute("alter table finance.revocation_away rename to revocation")


def test_where_nobody_checks_tokens_nobody_passes(stack: Stack, token: str) -> None:
    nginx = Nginx(stack, [], "--web", f"http://127.0.0.1:{free_port()}")
    try:
        nginx.start()
        assert "No process could check" in str(refused(nginx.call("GET", ACCOUNTS, token), 503)["detail"])
        assert "The application gives no answer" in str(refused(nginx.call("GET", "/login"), 503)["detail"])
    finally:
        nginx.close()


def test_an_address_that_asks_too_often_waits(stack: Stack, services: dict[str, Service], token: str) -> None:
    nginx = Nginx(stack, list(services.values()), "--rate", "1", "--logins", "6")
    try:
        nginx.start()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: nginx.call("GET", ACCOUNTS, token), range(12)))
        passed = [answer for answer in answers if answer.status_code == 200]
        assert 3 <= len(passed) < 12
        over = next(answer for answer in answers if answer.status_code != 200)
        assert refused(over, 429)["type"] == "urn:headwater:problem:too_many_attempts"
        assert over.headers["Retry-After"] == "1"
        wrong = {"username": "guess", "password": "x"}
        logins = [nginx.call("POST", "/api/identity/token", json=wrong) for _ in range(14)]
        assert refused(logins[-1], 429)
        assert logins[0].status_code == 401
    finally:
        nginx.close()
