"""A record as the read side last saw it: only for whom its service would show it, and with every digit."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from bi.record import record
from policy.problems import Problem
from tests.marts import ACME, BIKE, ORDER, PERSON, Marts
from tests.mirror import Stream, delete, put
from tests.readers import Person

CONTACT, SALES_ORDER, PRODUCT = "contacts.contact", "orders.sales_order", "inventory.product"


@pytest.mark.parametrize(
    ("object_type", "row", "column", "value"),
    [
        (CONTACT, PERSON, "account_uuid", str(ACME)),
        (SALES_ORDER, ORDER, "order_number", "SO-000001"),
        (PRODUCT, BIKE, "list_price", "1000"),
    ],
)
def test_alice_sees_it_bob_may_not_and_charlie_learns_of_no_contact_or_order(
    marts: Marts,
    alice: Person,
    bob: Person,
    charlie: Person,
    object_type: str,
    row: UUID,
    column: str,
    value: str,
) -> None:
    dsn = marts.dsn("wh_api")
    data, as_of = record(dsn, alice.principal, object_type, row)
    assert data[column] == value
    assert as_of is not None
    with pytest.raises(Problem) as refused:
        record(dsn, bob.principal, object_type, row)
    assert refused.value.status == 403
    if object_type == PRODUCT:  # the catalogue is everybody's who may read it
        assert record(dsn, charlie.principal, object_type, row)[0][column] == value
        return
    with pytest.raises(Problem) as refused:
        record(dsn, charlie.principal, object_type, row)
    assert refused.value.status == 404


def test_an_order_has_its_lines_and_its_addresses(marts: Marts, alice: Person, stream: Stream) -> None:
    stream.commit(
        put("orders.sales_order", id=ORDER, billing_address={"city": "Leeds"}, tax_amount=Decimal("1.5")),
        put(
            "orders.sales_order_line",
            id=uuid4(),
            order_id=ORDER,
            line_no=2,
            product_id=BIKE,
            quantity=Decimal(1),
            unit_price=Decimal("0.3333"),
        ),
    )
    data, _ = record(marts.dsn("wh_api"), alice.principal, SALES_ORDER, ORDER)
    assert data["billing_address"] == {"city": "Leeds"}
    assert Decimal(data["total_due"]) == Decimal("301.5")
    # the hot lane has not taken the second line yet, so its net is nowhere
    assert [(line["line_no"], line["unit_price"], line["net"] is None) for line in data["lines"]] == [
        (1, "100", False),
        (2, "0.3333", True),
    ]


def test_what_was_deleted_and_what_is_of_another_type_is_absent(marts: Marts, alice: Person, stream: Stream) -> None:
    stream.commit(delete("contacts.contact", id=PERSON))
    for object_type, row in ((CONTACT, PERSON), (SALES_ORDER, BIKE), (PRODUCT, ORDER)):
        with pytest.raises(Problem) as refused:
            record(marts.dsn("wh_api"), alice.principal, object_type, row)
        assert refused.value.status == 404
