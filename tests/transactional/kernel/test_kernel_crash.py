"""A process killed at any point of a command or of applying events: all or nothing, and sending again is safe."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from django.db import connections
from uuid_utils.compat import uuid7

from tests.cast import Cast
from tests.transactional.kernel.books import new_isbn
from tests.transactional.kernel.test_kernel_inbox import seen, statuses
from tests.world import World
from transactional.contracts import failpoints
from transactional.kernel.calls import execute
from transactional.kernel.inbox import apply_events


def killed_at(point: str, work: Callable[[], object]) -> None:
    """Does the work in a process of its own that must die at the fail-point."""
    connections.close_all()  # a connection may not be shared with the child
    child = os.fork()
    if child == 0:
        try:
            failpoints._name = point
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize(("point", "committed"), [("command.before_commit", 0), ("command.after_commit", 1)])
def test_a_killed_command_acts_once_when_it_is_sent_again(world: World, cast: Cast, point: str, committed: int) -> None:
    payload = {"rows": [{"data": {"title": "Dune", "isbn": new_isbn()}}]}
    key = f"crash at {point}"

    def work() -> tuple[int, bool]:
        answer = execute("shelf.create_books", payload, cast.alice.ctx(idempotency_key=key))
        return answer.data["created"], answer.replayed

    def written() -> tuple[int, int, int]:
        books = world.rows("select * from shelf.book where isbn = %s", [payload["rows"][0]["data"]["isbn"]])
        events = [row for row in world.outbox("shelf") if row["aggregate_id"] in {book["id"] for book in books}]
        return len(books), len(events), len(world.rows("select * from shelf.idempotency_key where key = %s", [key]))

    killed_at(point, work)
    assert written() == (committed, committed, committed)
    assert work() == (1, bool(committed))
    assert written() == (1, 1, 1)


@pytest.mark.parametrize(("point", "committed"), [("inbox.before_commit", 0), ("inbox.after_commit", 1)])
def test_a_killed_worker_applies_each_event_once(world: World, point: str, committed: int) -> None:
    account = uuid7()
    event = seen(account, 1, "Acme")

    def written() -> tuple[int, int]:
        return (
            len(world.rows("select * from shelf.account_replica where account_uuid = %s", [account])),
            len(world.rows("select * from shelf.inbox where event_id = %s", [event.id])),
        )

    killed_at(point, lambda: apply_events("shelf", [event]))
    assert written() == (committed, committed)
    assert statuses(apply_events("shelf", [event])) == ["duplicate" if committed else "applied"]
    assert written() == (1, 1)
