"""The timeline of a record: who, when, why, before → after, over all that belongs to it, for whom it concerns."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client

from bi.schema import Timeline
from tests.marts import ACME, BIKE, GLOBEX, NORTH, ORDER, ORDER_LINE, PERSON, SOUTH, line, order
from tests.mirror import Connection, Stream, delete, put
from tests.readers import Person, person


def page(who: Person, kind: str, key: object, status: int = 200, **parameters: object) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {who.token()}"}
    answer = Client().get(f"/api/360/{kind}s/{key}/timeline", parameters, headers=headers)
    assert answer.status_code == status, answer.content
    if status == 200:
        Timeline.model_validate_json(answer.content)
    return answer.json()


def changes(who: Person, kind: str = "account", key: object = ACME, **parameters: object) -> list[dict[str, Any]]:
    return page(who, kind, key, **parameters)["changes"]


def words(change: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {f["label"]: (f["before_words"] or f["before"], f["after_words"] or f["after"]) for f in change["fields"]}


def test_an_accounts_timeline_holds_what_belongs_to_it(alice: Person, stream: Stream) -> None:
    stream.commit(
        put("contacts.contact", id=PERSON, account_uuid=ACME, phone="+1 206 555 0100"),
        actor="Alice Reyes",
        command="contacts.update_contact",
        reason="she called",
    )
    stream.commit(put("orders.sales_order", id=ORDER, status="shipped"), actor="Wes", command="orders.ship_sales_order")
    stream.commit(put("finance.account_profile", account_uuid=ACME, credit_limit=Decimal(500)), actor="Ada")
    stream.commit(put("contacts.account", account_uuid=GLOBEX, industry="Steel"), actor="Charlie")
    finance, shipped, called, *_ = changes(alice)
    assert words(finance) == {"Credit limit": ("10000", "500")}
    assert (shipped["title"], shipped["action"]) == ("SO-000001", "Ship sales order")
    assert (called["actor_name"], called["reason"]) == ("Alice Reyes", "she called")
    assert (called["object"], called["title"], called["object_id"]) == ("contacts.contact", "Ann Lee", str(PERSON))
    assert words(called) == {"Phone": (None, "+1 206 555 0100")}
    assert all(change["title"] != "Globex" for change in changes(alice))


def test_bob_is_refused_and_charlie_does_not_learn_that_it_exists(bob: Person, charlie: Person) -> None:
    for kind, key in (("account", ACME), ("contact", PERSON), ("order", ORDER)):
        page(bob, kind, key, status=403)
        hidden, absent = page(charlie, kind, key, status=404), page(charlie, kind, uuid4(), status=404)
        assert hidden["title"] == absent["title"]
    assert changes(charlie, key=GLOBEX) != []


def test_changes_of_rows_out_of_scope_are_left_out(alice: Person, stream: Stream) -> None:
    """An order of the account that another territory took."""
    stream.commit(put("orders.sales_order", id=ORDER, status="shipped", territory_id=SOUTH), actor="Wes")
    assert {c["object"] for c in changes(alice)} == {"contacts.account", "contacts.contact", "finance.account_profile"}


def test_each_role_sees_what_it_reads(key: Ed25519PrivateKey) -> None:
    marketer = person(key, 4, "marketer", territory=NORTH)
    assert "finance.account_profile" not in {c["object"] for c in changes(marketer)}
    clerk = person(key, 5, "warehouse_clerk", territory=NORTH)
    page(clerk, "account", ACME, status=403)
    assert changes(clerk, "order", ORDER) != []


def test_ids_become_names_for_who_may_see_them(alice: Person, key: Ed25519PrivateKey, stream: Stream) -> None:
    dana, team = uuid4(), uuid4()
    stream.commit(
        put("identity.user_account", id=dana, username="dana", display_name="Dana Wu"),
        put("identity.team", id=team, name="Key accounts"),
        put("identity.territory", id=NORTH, name="Northwest", country_code="US", group_name="North America"),
    )
    stream.commit(put("contacts.account", account_uuid=ACME, owner_id=dana, team_id=team, parent_id=GLOBEX))
    newest, *_, first = changes(alice)
    assert words(newest) | {"Parent account": None} == {
        "Owner": (None, "Dana Wu"),
        "Team": (None, "Key accounts"),
        "Parent account": None,
    }
    assert words(newest)["Parent account"] == (None, str(GLOBEX)), "its name is none of hers"
    assert words(changes(person(key, 6, "auditor"))[0])["Parent account"] == (None, "Globex")
    assert words(first)["Territory"] == (None, "Northwest")


def test_addresses_and_custom_fields_read_as_words(alice: Person, stream: Stream) -> None:
    address = {"line1": "1 Main St", "line2": None, "city": "Seattle", "region": "WA", "postal_code": "98101"}
    stream.commit(put("contacts.account", account_uuid=ACME, billing_address=address, custom={"tier": "gold", "n": 3}))
    assert words(changes(alice)[0]) == {
        "Billing address": (None, "1 Main St, Seattle, WA 98101"),
        "Tier": (None, "gold"),
        "N": (None, "3"),
    }


def test_a_change_that_only_counts_up_is_no_news(alice: Person, stream: Stream) -> None:
    before = changes(alice)
    stream.commit(put("contacts.account", account_uuid=ACME, version=9))
    assert changes(alice) == before


def test_what_was_removed_stays_told(alice: Person, stream: Stream) -> None:
    link = uuid4()
    stream.commit(put("contacts.account_contact", id=link, account_uuid=ACME, contact_id=PERSON, role="Buyer"))
    stream.commit(delete("contacts.account_contact", id=link), actor="Alice")
    gone, made, *_ = changes(alice)
    assert (gone["op"], gone["title"], gone["fields"]) == ("d", "Buyer", [])
    assert words(made)["Contact"] == (None, "Ann Lee")


def test_an_orders_timeline_tells_of_its_lines(alice: Person, stream: Stream) -> None:
    stream.commit(line(ORDER_LINE, ORDER, product_name="Racer", quantity=Decimal(4)), actor="Alice")
    newest, *_ = changes(alice, "order", ORDER)
    assert (newest["title"], words(newest)["Quantity"]) == ("Racer", ("3", "4"))


def test_a_products_timeline_tells_of_its_prices(alice: Person, stream: Stream) -> None:
    stream.commit(put("inventory.product_price", id=uuid4(), product_id=BIKE, amount=Decimal(9), currency="USD"))
    newest, *_ = changes(alice, "product", BIKE)
    assert (newest["object"], newest["currency"], words(newest)["Price"]) == (
        "inventory.product_price",
        "USD",
        (None, "9"),
    )


def test_what_a_first_load_found_is_told_once_without_its_fields(
    alice: Person, stream: Stream, owner: Connection
) -> None:
    stream.commit(put("contacts.account", account_uuid=ACME, industry="Rockets"))
    newest, *_ = changes(alice)
    for lsn, epoch in (("0/0", 1), ("0/0", 2), ("0/99", 1)):
        owner.execute(
            "insert into log.change_log (landed_on, batch_id, source, epoch, xid, lsn, seq, op, schema_name,"
            " table_name, key, before, after, committed_at)"
            " select landed_on, batch_id, source, %s, xid, %s, 0, 'r', schema_name, table_name, key, null, after,"
            " committed_at from log.change_log order by committed_at desc limit 1",
            [epoch, lsn],
        )
    found = [change for change in changes(alice) if change["op"] == "r"]
    assert [change["fields"] for change in found] == [[]]
    assert newest in changes(alice)


def test_pages_give_every_change_once(alice: Person, stream: Stream) -> None:
    """Forty orders in one transaction share their time: the place between pages is finer than that."""
    stream.commit(
        *(order(uuid4(), ACME, number=f"SO-1{n:05}", territory_id=NORTH) for n in range(40)), actor="Importer"
    )
    everything = changes(alice, limit=100)
    assert len(everything) > 40
    paged: list[dict[str, Any]] = []
    after = None
    while True:
        found = page(alice, "account", ACME, limit=7, **({"after": after} if after else {}))
        paged += found["changes"]
        after = found["next"]
        if after is None:
            break
        if len(paged) == 14:
            stream.commit(put("contacts.account", account_uuid=ACME, industry="meanwhile"))
    assert paged == everything


@pytest.mark.parametrize("after", ["x", "W10", "bnVsbA", "WyIiLCIiLDAsIiIsIiIse31d", "é", "A" * 5000, "\x00"])
def test_a_place_that_is_none_is_refused(alice: Person, after: str) -> None:
    refused = page(alice, "account", ACME, status=422, after=after)
    assert refused["errors"][0]["field"] == "after"


@pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", "1e1", "9" * 30])
def test_a_limit_out_of_range_is_refused(alice: Person, limit: str) -> None:
    assert page(alice, "account", ACME, status=422, limit=limit)["errors"][0]["field"] == "limit"


def test_the_watermark_says_how_far_it_reaches(alice: Person, stream: Stream, owner: Connection) -> None:
    stream.commit(put("contacts.account", account_uuid=ACME, industry="Rockets"))
    mark = page(alice, "account", ACME)["watermark"]["headwater"]
    (lsn,) = owner.execute("select lsn::text from log.position").fetchone()
    assert mark["lsn"] == lsn
    assert mark["totals_lsn"] != lsn, "the marts have not taken the batch yet"
    assert mark["totals_as_of"] <= mark["as_of"]
