"""The catalogue as imports bring it: a verdict for each row, and twice the same."""

from __future__ import annotations

from uuid import uuid4

PRODUCTS, CATEGORIES = "/api/inventory/products", "/api/inventory/product-categories"


def row(key, **data):
    return {"key": {"source": "plant", "key": key}, "data": data}


def send(person, path, *rows):
    return person.post(f"{path}/bulk", {"rows": rows})


def verdicts(answer):
    return [(v["status"], [e["field"] for e in v["errors"]]) for v in answer.json()["verdicts"]]


def test_categories_name_their_parents_by_key_or_id(cast, category):
    prefix, known = uuid4().hex, category()
    answer = send(
        cast.alice,
        CATEGORIES,
        row(f"{prefix}/1", name=f"Bikes {prefix}"),
        row(f"{prefix}/2", name="Road", parent_key={"source": "plant", "key": f"{prefix}/1"}),
        row(f"{prefix}/3", name="Town", parent_id=known),
        row(f"{prefix}/4", name="Lost", parent_id=str(uuid4())),
        row(f"{prefix}/5", name="Gone", parent_key={"source": "plant", "key": "nowhere"}),
    )
    assert [status for status, _ in verdicts(answer)] == ["created"] * 3 + ["rejected"] * 2
    bikes, road, town = (v["id"] for v in answer.json()["verdicts"][:3])
    assert cast.alice.get(f"{CATEGORIES}/{road}").json()["parent_id"] == bikes
    assert cast.alice.get(f"{CATEGORIES}/{town}").json()["parent_id"] == known
    later = send(
        cast.alice,
        CATEGORIES,
        row(f"{prefix}/6", name="Late", parent_key={"source": "plant", "key": f"{prefix}/1"}),
    )
    assert verdicts(later) == [("created", [])]


def test_a_name_taken_in_the_branch_rejects_that_row_alone(cast, category):
    name = f"Bikes {uuid4().hex}"
    category(name)
    answer = send(cast.alice, CATEGORIES, row(uuid4().hex, name=name), row(uuid4().hex, name=f"Other {name}"))
    assert [status for status, _ in verdicts(answer)] == ["rejected", "created"]


def test_products_come_with_their_prices_and_running_it_twice_changes_nothing(world, cast, category):
    prefix = uuid4().hex
    rows = [
        row(
            f"{prefix}/{n}",
            sku=f"{prefix}-{n}",
            name=f"Bike {n}",
            category_id=category(),
            list_price="20.0000",
            sell_start="2011-05-31",
            prices=[
                {"amount": "10", "valid_from": "2011-05-31", "valid_to": "2012-05-29"},
                {"amount": "20", "valid_from": "2012-05-30"},
            ],
        )
        for n in range(25)
    ]
    first = send(cast.alice, PRODUCTS, *rows).json()
    assert first["created"] == 25
    created = [e for e in world.outbox("inventory", "PRODUCT_CREATED") if e["payload"]["sku"].startswith(prefix)]
    assert len(created) == 25
    product = first["verdicts"][0]["id"]
    assert len(cast.alice.get("/api/inventory/product-prices", {"product_id": product}).json()["items"]) == 2
    second = send(cast.alice, PRODUCTS, *rows).json()
    assert (second["created"], second["exists"]) == (0, 25)


def test_a_bad_row_stops_no_other(cast, product):
    taken = product()["sku"]
    sku = uuid4().hex
    answer = send(
        cast.alice,
        PRODUCTS,
        row(uuid4().hex, sku=sku, name="Good"),
        row(uuid4().hex, sku=sku, name="Same SKU"),
        row(uuid4().hex, sku=taken, name="Taken"),
        row(uuid4().hex, sku=uuid4().hex, name="Lost", category_id=str(uuid4())),
        row(uuid4().hex, sku=uuid4().hex, name="Cheap", list_price="-1"),
        row(
            uuid4().hex,
            sku=uuid4().hex,
            name="Overlap",
            prices=[{"amount": "1", "valid_from": "2026-01-01"}, {"amount": "2", "valid_from": "2026-02-01"}],
        ),
        row(uuid4().hex, sku=uuid4().hex, name="Past", sell_end="2000-01-01"),
    )
    assert verdicts(answer) == [
        ("created", []),
        ("rejected", ["rows.1.data.sku"]),
        ("rejected", ["rows.2.data.sku"]),
        ("rejected", ["rows.3.data.category_id"]),
        ("rejected", ["rows.4.data.list_price"]),
        ("rejected", ["rows.5.data.prices.1.valid_from"]),
        ("rejected", ["rows.6.data.sell_end"]),
    ]


def test_bob_may_not(cast):
    assert send(cast.bob, PRODUCTS, row("x", sku="X", name="X")).status_code == 403
    assert send(cast.bob, CATEGORIES, row("x", name="X")).status_code == 403
