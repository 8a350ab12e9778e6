"""Every address of the application: who may, which forms are genuine, which headers, how large the files."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver

from policy.principal import STREAM
from tests.world import World
from transactional.identity import tokens
from transactional.kernel.calls import execute
from transactional.kernel.context import Context
from web import session, urls
from web.assets import ROOT, assets, serve

PASSWORD = "a long enough passphrase"
OPEN = {"login"}


@pytest.fixture(autouse=True)
def _nobody_is_remembered() -> Iterator[None]:
    session._known.clear()
    with override_settings(ROOT_URLCONF="headwater.urls"):
        yield


@pytest.fixture(scope="module")
def people(world: World) -> World:
    for name, roles in (("alice", ["sales_rep"]), ("bob", [])):
        person = {"username": name, "display_name": name.title(), "roles": roles, "password": PASSWORD}
        execute("identity.create_user", person, Context(actor=STREAM))
    return world


def csrf(body: bytes) -> str:
    return re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', body)[1].decode()  # type: ignore[index]


def enter(name: str = "alice", password: str = PASSWORD) -> Client:
    client = Client(enforce_csrf_checks=True)
    form = {"csrfmiddlewaretoken": csrf(client.get("/login").content)}
    answer = client.post("/login", form | {"login_username": name, "login_password": password, "next": "/styleguide"})
    assert answer.status_code == 303, answer.content
    assert answer["Location"] == "/styleguide"
    return client


def patterns(of: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for entry in of:
        if isinstance(entry, URLResolver):
            yield from patterns(entry.url_patterns, prefix + str(entry.pattern))
        elif isinstance(entry, URLPattern):
            yield prefix + str(entry.pattern), entry.callback


def test_every_address_is_a_page_and_only_the_login_is_for_nobody_in_particular() -> None:
    found = dict(patterns(urls.urlpatterns))
    assert len(found) > 40
    for address, view in found.items():
        if view is serve:
            continue
        assert getattr(view, "is_page", False), f"/{address} is no page"
        assert view.anonymous == (address in OPEN), address


def test_a_stranger_gets_the_login_whatever_they_ask_for(people: World) -> None:
    for address, view in patterns(urls.urlpatterns):
        if view is serve or address in OPEN:
            continue
        path = "/" + re.sub(r"<uuid:\w+>", "01a20373-196d-71ff-bc78-118635296eb7", address)
        path = re.sub(r"<\w+:\w+>", "orders", re.sub(r"<int:\w+>", "1", path))
        answer = Client().get(path)
        assert answer.status_code in (401, 405), (path, answer.status_code)


def test_somebody_without_a_role_sees_no_record_and_their_rail_is_empty(people: World) -> None:
    bob = enter("bob")
    body = bob.get("/").content.decode()
    assert "Nothing is open to you yet" in body
    assert 'href="/accounts"' not in body
    for path in ("/accounts", "/contacts", "/orders", "/products", "/accounts/export.csv"):
        assert bob.get(path).status_code == 403


def test_the_session_cookie_is_out_of_scripts_reach(people: World) -> None:
    client = enter()
    cookie = client.cookies[session.COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Lax", "")
    with override_settings(SESSION_COOKIE_SECURE=True):
        assert enter().cookies[session.COOKIE]["secure"] is True


def test_headers_of_every_answer(people: World) -> None:
    client = enter()
    for path in ("/", "/nothing-here", "/styleguide"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "private, no-store"


def test_a_wrong_password_says_so_and_tells_nothing_else(people: World) -> None:
    client = Client(enforce_csrf_checks=True)
    form = {"csrfmiddlewaretoken": csrf(client.get("/login").content), "login_password": "wrong"}
    for name in ("alice", "nobody at all", "<script>alert(1)</script>"):
        answer = client.post("/login", form | {"login_username": name})
        assert answer.status_code == 401
        assert b"The username or password is wrong" in answer.content
        assert b"<script>alert" not in answer.content


def test_after_ten_wrong_passwords_a_name_must_wait(people: World) -> None:
    person = {"username": "tess", "display_name": "Tess", "password": PASSWORD}
    execute("identity.create_user", person, Context(actor=STREAM))
    client = Client(enforce_csrf_checks=True)
    form = {"csrfmiddlewaretoken": csrf(client.get("/login").content), "login_username": "tess"}
    for _ in range(tokens.ATTEMPTS):
        client.post("/login", form | {"login_password": "wrong"})
    answer = client.post("/login", form | {"login_password": PASSWORD})
    assert b"Too many attempts" in answer.content
    assert session.COOKIE not in answer.cookies


@pytest.mark.parametrize(
    "goal", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"]
)
def test_a_login_leads_to_pages_of_ours_alone(people: World, goal: str) -> None:
    client = Client(enforce_csrf_checks=True)
    form = {"csrfmiddlewaretoken": csrf(client.get("/login").content), "next": goal}
    answer = client.post("/login", form | {"login_username": "alice", "login_password": PASSWORD})
    assert answer["Location"] == "/"


def test_a_form_of_another_site_is_refused(people: World) -> None:
    client = enter()
    token = csrf(client.get("/styleguide").content)
    assert client.post("/theme", {"theme": "dark"}).status_code == 403
    assert client.post("/theme", {"theme": "dark", "csrfmiddlewaretoken": "x" * 64}).status_code == 403
    other = client.post("/theme", {"csrfmiddlewaretoken": token}, headers={"Origin": "https://evil.example"})
    assert other.status_code == 403
    assert b"could not be trusted" in other.content
    assert client.post("/theme", {"theme": "dark", "csrfmiddlewaretoken": token}).status_code == 303


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/xml", ""])
def test_another_content_type_is_refused(people: World, kind: str) -> None:
    answer = enter().post("/theme", b"{}", content_type=kind)
    assert answer.status_code == 415
    assert b"application/x-www-form-urlencoded" in answer.content


def test_a_method_that_an_address_does_not_take(people: World) -> None:
    answer = enter().delete("/accounts")
    assert (answer.status_code, answer["Allow"]) == (405, "GET")


def test_too_much_at_once(people: World) -> None:
    client = enter()
    form = {"csrfmiddlewaretoken": csrf(client.get("/styleguide").content), "theme": "x" * (2 * 1024 * 1024)}
    assert client.post("/theme", form).status_code == 413


def test_logging_out_ends_the_session_here_and_everywhere(people: World) -> None:
    one, two = enter(), enter()
    token = csrf(one.get("/styleguide").content)
    kept = one.cookies[session.COOKIE].value
    one.post("/logout", {"csrfmiddlewaretoken": token})
    replay = Client()
    replay.cookies[session.COOKIE] = kept
    assert replay.get("/styleguide").status_code == 401
    assert two.get("/styleguide").status_code == 200
    three = enter()
    answer = three.post("/logout", {"csrfmiddlewaretoken": csrf(three.get("/styleguide").content), "everywhere": "yes"})
    assert answer.status_code == 303
    assert two.get("/styleguide").status_code == 401


def test_a_form_that_meets_the_end_of_its_session_keeps_its_text_and_goes_on_with_the_login(people: World) -> None:
    client = enter()
    form = {"csrfmiddlewaretoken": csrf(client.get("/styleguide").content), "theme": "dark", "next": '/x"><script>'}
    client.cookies[session.COOKIE] = "over"
    asked = client.post("/theme", form)
    assert asked.status_code == 401
    body = asked.content.decode()
    assert 'name="theme" value="dark"' in body
    assert "<script>" not in body.partition("<body>")[2]
    again = form | {"csrfmiddlewaretoken": csrf(asked.content), "login_username": "alice", "login_password": PASSWORD}
    answer = client.post("/theme", again)
    assert answer.status_code == 303
    assert answer.cookies["hw_theme"].value == "dark"
    assert client.get("/styleguide").status_code == 200


def test_an_unknown_address_is_a_page_for_people_and_a_problem_for_programs(people: World) -> None:
    answer = enter().get("/nothing/here")
    assert answer.status_code == 404
    assert b"There is nothing here" in answer.content
    assert Client().get("/api/nothing")["Content-Type"] == "application/problem+json"


def test_a_fault_of_ours_says_so_without_its_inside(people: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = enter()

    def broken() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("web.shell.views.specimens", broken)
    answer = client.get("/styleguide")
    assert answer.status_code == 500
    assert b"Something went wrong on our side" in answer.content
    assert b"secret detail" not in answer.content


def test_static_files_are_named_by_their_content_cached_for_ever_and_small(people: World) -> None:
    known = assets()
    answer = Client().get(known.url("app.css"), headers={"Accept-Encoding": "gzip"})
    assert "immutable" in answer["Cache-Control"]
    assert gzip.decompress(answer.content) == known.files["app.css"].content
    assert Client().get("/static/0000000000000000/app.css")["Cache-Control"] == "no-cache"
    for path in ("../settings.py", "css/base.css", "nothing.js"):
        assert Client().get(f"/static/{known.mark}/{path}").status_code == 404
    scripts = sum(len(asset.packed) for name, asset in known.files.items() if name.endswith(".js"))
    assert scripts <= 60 * 1024
    assert len(known.files["app.css"].packed) <= 30 * 1024


def test_no_template_and_no_script_needs_what_the_policy_refuses() -> None:
    for path in (ROOT.parent / "templates").rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path
        assert not re.search(r"\son[a-z]+=", text), path
        assert not re.search(r"\sstyle=", text), path
    for path in (ROOT / "js").rglob("*.js"):
        assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|eval|Function)\b", path.read_text()), path


def test_while_identity_gives_no_answer_whoever_holds_a_live_token_goes_on(
    people: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transactional.kernel.problems import Unavailable

    client = enter()
    monkeypatch.setattr(session, "REMEMBERED_SECONDS", -1.0)
    session._known.update({s: session._Remembered(r.reader, 0.0) for s, r in session._known.items()})

    def away(_: str) -> str:
        raise Unavailable("identity is away")

    monkeypatch.setattr(session.sessions, "renew", away)
    assert client.get("/styleguide").status_code == 200
    stranger = Client()
    stranger.cookies[session.COOKIE] = "never seen"
    assert stranger.get("/styleguide").status_code == 503
