"""Logging in and out through the kernel: the same whether identity is hosted in this process or elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import override_settings
from django.urls import resolve

from headwater.embedded.postgres import free_port
from policy.principal import STREAM
from tests.transactional.kernel.test_kernel_remote import elsewhere  # noqa: F401
from tests.world import World
from transactional.kernel import sessions
from transactional.kernel.calls import execute
from transactional.kernel.context import Context
from transactional.kernel.problems import Problem

PASSWORD = "a long enough passphrase"


@pytest.fixture(params=["in process", "over HTTP"])
def somewhere(request: pytest.FixtureRequest, elsewhere: str) -> Iterator[None]:  # noqa: F811
    if request.param == "in process":
        yield
        return
    # The server of this test is the same process: its addresses are made while identity is still one of them.
    resolve("/api/identity/token")
    others = [service for service in settings.HEADWATER_SERVICES if service != "identity"]
    with override_settings(HEADWATER_SERVICES=others, HEADWATER_SERVICE_URLS={"identity": elsewhere}):
        yield


@pytest.fixture(scope="module")
def somebody(world: World) -> str:
    person = {"username": "sasha", "display_name": "Sasha", "password": PASSWORD}
    execute("identity.create_user", person, Context(actor=STREAM))
    return "sasha"


@pytest.mark.usefixtures("somewhere")
def test_a_session_opens_buys_tokens_and_ends(somebody: str) -> None:
    login = sessions.log_in(somebody, PASSWORD)
    assert sessions.renew(login.session) != login.token
    sessions.log_out(login.session)
    for after in (sessions.renew, sessions.log_out):
        with pytest.raises(Problem) as over:
            after(login.session)
        assert over.value.status == 401


@pytest.mark.usefixtures("somewhere")
def test_a_wrong_password_is_refused_and_leaves_no_session(somebody: str) -> None:
    with pytest.raises(Problem) as refused:
        sessions.log_in(somebody, "wrong")
    assert refused.value.status == 401


def test_while_identity_gives_no_answer_nobody_new_comes_in(somebody: str) -> None:
    others = [service for service in settings.HEADWATER_SERVICES if service != "identity"]
    nowhere = {"identity": f"http://127.0.0.1:{free_port()}"}
    with (
        override_settings(HEADWATER_SERVICES=others, HEADWATER_SERVICE_URLS=nowhere),
        pytest.raises(Problem) as away,
    ):
        sessions.log_in(somebody, PASSWORD)
    assert away.value.status == 503
