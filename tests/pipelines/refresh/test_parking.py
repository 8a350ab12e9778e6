"""A key that cannot be refreshed is set aside with its reason; every other key and model flows on."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest

from pipelines.refresh.lane import Lane
from pipelines.refresh.program import Program
from tests.marts import ACME, GLOBEX, Marts, differences, drain, line, order
from tests.mirror import Connection, Stream, put


def parked(owner: Connection) -> list[tuple[str, str]]:
    return owner.execute("select model, key from ops.parked_key order by model, key").fetchall()  # type: ignore[return-value]


def orders(owner: Connection) -> int:
    (count,) = owner.execute("select count(*) from marts.fct_sales_order").fetchone() or (0,)
    return int(count)


def postpone(owner: Connection) -> None:
    """The next try of what was parked is an hour away: the two seconds that it begins with pass during a slow test."""
    assert owner.execute("select bool_and(retry_at > parked_at) from ops.parked_key").fetchone() == (True,)
    owner.execute("update ops.parked_key set retry_at = now() + interval '1 hour'")


def test_a_bad_row_parks_its_key_alone(owner: Connection, stream: Stream, lane: Lane) -> None:
    bad = uuid4()
    good = [order(uuid4(), GLOBEX, number=f"SO-5{n}") for n in range(20)]
    stream.commit(*good, put("orders.sales_order", id=bad, account_uuid=GLOBEX, order_number="SO-X"))  # has no date
    before = orders(owner)
    drain(lane)
    assert orders(owner) == before + 20
    assert parked(owner) == [("fct_sales_order", str(bad))]
    (error,) = owner.execute("select error from ops.parked_key").fetchone() or ("",)
    assert "order_date" in error
    assert owner.execute("select count(*) from log.queue where consumer = 'refresh'").fetchone() == (0,)


def test_a_parked_key_holds_nothing_up_and_heals_with_its_row(
    owner: Connection, stream: Stream, lane: Lane, program: Program
) -> None:
    bad = uuid4()
    stream.commit(put("orders.sales_order", id=bad, account_uuid=GLOBEX, order_number="SO-X"))
    drain(lane)
    stream.commit(line(uuid4(), bad, quantity=Decimal(1), unit_price=Decimal(1)), order(uuid4(), ACME, number="SO-6"))
    drain(lane)
    assert parked(owner) == [("fct_sales_order", str(bad)), ("fct_sales_order_line", str(bad))]
    (mine,) = owner.execute("select count(*) from marts.fct_sales_order where account_uuid = %s", [ACME]).fetchone()
    assert mine == 2
    stream.commit(order(bad, GLOBEX, number="SO-X"))
    drain(lane)
    assert parked(owner) == []
    assert differences(owner, program) == []


def test_parked_keys_are_tried_again_by_themselves(
    owner: Connection, stream: Stream, lane: Lane, program: Program
) -> None:
    """What was wrong lay outside the stream: once it is mended, the key and what is read from it come right."""
    owner.execute("alter table marts.fct_sales_order add constraint small check (freight < 100)")
    big = uuid4()
    stream.commit(order(big, GLOBEX, number="SO-X", freight=Decimal(500)))
    drain(lane)
    assert parked(owner) == [("fct_sales_order", str(big))]
    owner.execute("alter table marts.fct_sales_order drop constraint small")
    postpone(owner)
    assert not lane.is_due()
    assert owner.execute("select ops.retry_parked('fct_sales_order')").fetchone() == (1,)
    drain(lane)
    assert parked(owner) == []
    assert differences(owner, program) == []


def test_pauses_grow_only_with_tries_that_were_due(owner: Connection, stream: Stream, lane: Lane) -> None:
    bad = uuid4()
    for _ in range(3):
        stream.commit(put("orders.sales_order", id=bad, account_uuid=GLOBEX, order_number="SO-X"))
        lane.run_pass()
        postpone(owner)
    assert owner.execute("select attempts from ops.parked_key").fetchone() == (1,)
    owner.execute("select ops.retry_parked()")
    lane.run_pass()
    assert owner.execute("select attempts from ops.parked_key").fetchone() == (2,)


def test_a_model_that_no_longer_fits_is_parked_and_rebuilt_once_it_does(
    owner: Connection, stream: Stream, lane: Lane, program: Program
) -> None:
    owner.execute("alter table marts.fct_sales_order_line rename column sku to article")
    new = uuid4()
    stream.commit(order(new, GLOBEX, number="SO-7"), line(uuid4(), new, quantity=Decimal(1), unit_price=Decimal(1)))
    before = orders(owner)
    drain(lane)
    assert parked(owner) == [("fct_sales_order_line", "*")]
    assert orders(owner) == before + 1
    fresh = {model for (model,) in owner.execute("select model from ops.model_state where batch_id > 1")}
    assert "fct_sales_order" in fresh
    assert "fct_sales_order_line" not in fresh
    owner.execute("alter table marts.fct_sales_order_line rename column article to sku")
    owner.execute("select ops.retry_parked()")
    drain(lane)
    assert parked(owner) == []
    assert differences(owner, program) == []


def test_a_bad_row_does_not_stop_a_rebuild_for_many_keys(
    owner: Connection, stream: Stream, marts: Marts, program: Program
) -> None:
    bad = uuid4()
    good = [order(uuid4(), GLOBEX, number=f"SO-5{n}") for n in range(20)]
    before = orders(owner)
    stream.commit(*good, put("orders.sales_order", id=bad, account_uuid=GLOBEX, order_number="SO-X"))
    with marts.connect() as connection:
        done = Lane(connection, program, rebuild_above=8).run_pass()
    assert done.parked == 1
    assert orders(owner) == before + 20
    assert parked(owner) == [("fct_sales_order", str(bad))]


def test_an_outage_is_not_the_keys_fault(owner: Connection, stream: Stream, lane: Lane, marts: Marts) -> None:
    stream.commit(order(uuid4(), GLOBEX, number="SO-8"))
    with marts.superuser() as superuser:
        superuser.execute("alter role wh_owner set lock_timeout = '1ms'")
        try:
            with marts.connect() as blocker, marts.connect() as impatient, blocker.transaction():
                blocker.execute("lock table marts.fct_sales_order in access exclusive mode")
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    Lane(impatient, lane._program).run_pass()
        finally:
            superuser.execute("alter role wh_owner reset lock_timeout")
    assert parked(owner) == []
    assert drain(lane)[0].batches == 1
