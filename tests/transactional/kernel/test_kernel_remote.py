"""Calls to a service that lives in another process: the same answer and the same errors as in this one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.test import override_settings
from django.urls import get_resolver

from headwater.embedded.postgres import free_port
from tests.cast import Cast, Person
from tests.transactional.kernel.books import NewBook, new_isbn
from tests.world import World
from transactional.kernel.calls import Answer, fetch, fetch_page, invoke
from transactional.kernel.context import Context
from transactional.kernel.problems import Problem, Unavailable
from transactional.kernel.registry import RegistryError


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: requests of tests are no news."""


@pytest.fixture(scope="module")
def elsewhere(world: World) -> Iterator[str]:
    """The base URL of a server that hosts the sample service."""
    application = get_wsgi_application()
    assert get_resolver().url_patterns, "read now, with every service, and not first by a test that hosts fewer"

    def serve(environ, start_response):  # type: ignore[no-untyped-def]
        try:
            return application(environ, start_response)
        finally:
            connections.close_all()

    server = make_server("127.0.0.1", free_port(), serve, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["in process", "over HTTP"])
def somewhere(request: pytest.FixtureRequest, elsewhere: str) -> Iterator[None]:
    """Each test runs with the service here and elsewhere."""
    if request.param == "in process":
        yield
        return
    others = [service for service in settings.HEADWATER_SERVICES if service != "shelf"]
    with override_settings(HEADWATER_SERVICES=others, HEADWATER_SERVICE_URLS={"shelf": elsewhere}):
        yield


def said(person: Person, **options: object) -> Context:
    return replace(person.ctx(**options), token=person.token)


def refusal(call: object, *arguments: object) -> Problem:
    with pytest.raises(Problem) as refused:
        call(*arguments)  # type: ignore[operator]
    return refused.value


@pytest.mark.usefixtures("somewhere")
class TestAnywhere:
    def test_the_answer_is_the_same(self, cast: Cast) -> None:
        isbn = new_isbn()
        answer = invoke("shelf.create_book", {"title": "Dune", "isbn": isbn, "price": "1.5"}, said(cast.alice))
        assert isinstance(answer, Answer)
        assert (answer.status, answer.version, answer.replayed) == (201, 1, False)
        assert (answer.data["isbn"], answer.data["price"]) == (isbn, "1.5000")
        assert (answer.position or "").startswith("headwater=")

    def test_a_key_works_across(self, cast: Cast) -> None:
        payload = {"title": "Dune", "isbn": new_isbn()}
        answers = [invoke("shelf.create_book", payload, said(cast.alice, idempotency_key="across")) for _ in "ab"]
        assert [answer.replayed for answer in answers] == [False, True]
        assert answers[0].body == answers[1].body

    def test_a_resource_is_the_same(self, cast: Cast, new_book: NewBook) -> None:
        book = new_book(cast.alice)
        found = fetch("shelf.book", book["id"], said(cast.alice))
        assert found["title"] == "Dune"
        assert "shelf.publish_book" in {action["command"] for action in found["allowed_actions"]}

    def test_a_page_is_the_same(self, cast: Cast, new_book: NewBook) -> None:
        books = {new_book(cast.alice)["id"] for _ in range(3)}
        first = fetch_page("shelf.book", {"limit": "2"}, said(cast.alice))
        second = fetch_page("shelf.book", {"limit": "2", "after": first["next"]}, said(cast.alice))
        assert {item["id"] for item in first["items"] + second["items"]} == books

    def test_problems_are_the_same(self, cast: Cast, new_book: NewBook) -> None:
        book = new_book(cast.alice)
        bad = refusal(invoke, "shelf.create_book", {"title": "Dune", "pages": "x"}, said(cast.alice))
        assert (bad.status, bad.code) == (422, "invalid")
        assert {error.field for error in bad.errors} == {"isbn", "pages"}
        assert refusal(invoke, "shelf.publish_book", {"id": book["id"]}, said(cast.bob)).status == 403
        assert refusal(invoke, "shelf.publish_book", {"id": book["id"]}, said(cast.charlie)).status == 404
        assert refusal(fetch, "shelf.book", uuid4(), said(cast.alice)).code == "absent"
        stale = refusal(
            invoke, "shelf.update_book", {"id": book["id"], "title": "x"}, said(cast.alice, expected_version=9)
        )
        assert (stale.status, stale.code, stale.extra["current_version"]) == (409, "stale_version", 1)


def test_a_service_that_does_not_answer_is_unavailable(world: World, cast: Cast) -> None:
    with (
        override_settings(HEADWATER_SERVICES=[], HEADWATER_SERVICE_URLS={"shelf": f"http://127.0.0.1:{free_port()}"}),
        pytest.raises(Unavailable, match="shelf at http"),
    ):
        invoke("shelf.create_book", {}, said(cast.alice))


def test_a_service_without_an_address_is_named(world: World, cast: Cast) -> None:
    with override_settings(HEADWATER_SERVICES=[]), pytest.raises(RegistryError, match="names no URL"):
        invoke("shelf.create_book", {}, said(cast.alice))
