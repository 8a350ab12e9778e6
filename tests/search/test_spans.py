"""A traced write is followed into search: a pass is a span in the trace of each write that it makes findable."""

from __future__ import annotations

from pipelines.search.worker import traced
from search.sync import Sync, nowhere
from tests.search.test_sync import settle
from tests.search.world import ACME, Searching, account
from tests.spans import followed

LANDED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_pass_is_a_span_below_the_landing_of_each_traced_write(world: Searching) -> None:
    world.settle()
    world.land(account(ACME, "AC-000104", "Traced Ltd"))
    world.owner.execute(
        "update log.batch set traceparents = %s where batch_id = (select max(batch_id) from log.batch)", [[LANDED]]
    )
    world.land(account(ACME, "AC-000104", "Traced Ltd", industry="Steel"))
    with followed() as spans:
        settle(Sync(world.sync._connection, world.engine, nowhere, traced))
        found = spans.get_finished_spans()
    assert [(span.name, dict(span.attributes or {})) for span in found] == [("search", {"headwater.batches": 2})]
    assert found[0].parent is not None
    assert (f"{found[0].parent.trace_id:032x}", f"{found[0].parent.span_id:016x}") == tuple(LANDED.split("-")[1:3])
