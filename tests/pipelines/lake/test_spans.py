"""A traced write is followed into the lake: a load is a span in the trace of each write that it takes."""

from __future__ import annotations

from pipelines.lake.loader import drain
from tests.lakes import LakeSide
from tests.mirror import put
from tests.pipelines.lake.test_loader import ONE
from tests.spans import followed

LANDED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def traced_write(side: LakeSide) -> None:
    batch = side.stream.commit(put("contacts.account", account_uuid=ONE, name="Acme"))
    side.stream.commit(put("contacts.account", account_uuid=ONE, name="Acme Ltd"))
    side.log("update log.batch set traceparents = %s where batch_id = %s", [[LANDED], batch])


def test_a_load_is_a_span_below_the_landing_of_each_traced_write(side: LakeSide) -> None:
    traced_write(side)
    with followed() as spans:
        drain(side.lake)
        drain(side.lake)
        found = spans.get_finished_spans()
    assert [(span.name, dict(span.attributes or {})) for span in found] == [("lake", {"headwater.batches": 2})]
    assert found[0].parent is not None
    assert (f"{found[0].parent.trace_id:032x}", f"{found[0].parent.span_id:016x}") == tuple(LANDED.split("-")[1:3])


def test_a_batch_whose_message_landed_elsewhere_belongs_to_the_traces_of_its_changes(side: LakeSide) -> None:
    side.stream.commit(put("contacts.account", account_uuid=ONE, name="Acme"), actor="Alice")
    side.log("update log.transactions set content = jsonb_build_object('traceparent', %s::text)", [LANDED])
    with followed() as spans:
        drain(side.lake)
        drain(side.lake)
        found = spans.get_finished_spans()
    assert [f"{span.parent.span_id:016x}" for span in found if span.parent] == [LANDED.split("-")[2]]
