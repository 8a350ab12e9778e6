"""A company of a million documents with names as people have them, put into the mirror by SQL, and its searches."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from tests.mirror import Connection
from tests.search.world import INDEXES

SHARES: Final = {"account": 0.1, "contact": 0.15, "product": 0.05, "order": 0.7}
"""Of all documents; an order has two lines."""

TERRITORIES: Final = 10


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PLACES: Final = words(
    "Alpine Coastal Summit River Valley Lake Harbour Northern Southern Eastern Western Central Prairie Canyon Meadow"
    " Island Forest Desert Granite Silver Golden Evergreen Redwood Sierra Pacific Atlantic Highland Lowland Metro Urban"
    " Capital Union Liberty Pioneer Heritage Colonial Royal Imperial Global National Zürich München Málaga Kraków"
    " Göteborg Besançon Córdoba Århus Łódź Reykjavík Lisboa Porto Genève Köln Nîmes Orléans"
)
TRADES: Final = words(
    "Bicycle Cycling Sports Outdoor Trail Mountain Road Touring Gear Equipment Supply Machine Tool Parts Accessory"
    " Apparel Clothing Helmet Wheel Frame Fitness Recreation Leisure Travel Rental Repair Service Racing Adventure"
)
FORMS: Final = words(
    "Ltd Inc GmbH AG SARL Company Group Store Shop Works Brothers Partners Associates Holdings Traders"
)
FIRST: Final = words(
    "Anna José María Björn Søren Łukasz Chloé Zoë Peter Paul Mary Susan Linda Robert Michael David James John Carlos"
    " Ingrid Olga Ivan Yuki Wei Priya Ahmed Fatima Kofi Amara Liam Emma Noah Olivia Lucas Mia Hugo Léa Tomás Inês"
)
GOODS: Final = words(
    "Mountain Road Touring Sport Racing Classic Women's Men's Long-Sleeve Short-Sleeve Half-Finger Full-Finger"
)
THINGS: Final = words(
    "Frame Bike Helmet Jersey Gloves Tights Shorts Socks Cap Vest Pedal Saddle Wheel Tire Tube Crankset Chain Fork"
    " Handlebars Headset Derailleur Brakes Pump Lock Light Bottle Cage Pannier Rack Stand"
)
COLOURS: Final = words("Black Silver Red Blue Yellow White Grey Multi")
_SYLLABLES: Final = words(
    "ba ber bra cas den der dor el far gar gro hal hart hol jan kel kin lan lar mar men mor ner nor"
)
_ENDS: Final = words(
    "berg dale feld field ford ham hoff ley man mann mark ner ring sen son stein stone ton wald well wood"
)


def surname(number: int) -> str:
    """One of some 13,000, as distinct as names are."""
    chance = random.Random(number)
    return "".join(chance.choices(_SYLLABLES, k=chance.choice((1, 2, 2)))).title() + chance.choice(_ENDS)


SURNAMES: Final = tuple(surname(number) for number in range(12_000))


def fill(connection: Connection, documents: int) -> None:
    """The mirror of every table that documents are made of; indexes last."""
    counts = {entity: max(1, int(documents * share)) for entity, share in SHARES.items()}
    accounts, products, orders = counts["account"], counts["product"], counts["order"]
    stamp, version = "'0/1', 0, false, '2026-01-01'", "_lsn, _seq, _deleted, _committed_at"
    territory = f"{_id('n % ' + str(TERRITORIES), 'e')}"
    name = (
        f"{_pick(PLACES, 'n', 'p')} || ' ' || {_pick(SURNAMES, 'n', 's')} || ' ' || {_pick(TRADES, 'n', 't')}"
        f" || ' ' || {_pick(FORMS, 'n', 'f')}"
    )
    good = (
        f"{_pick(GOODS, 'n', 'g')} || ' ' || {_pick(THINGS, 'n', 'h')} || '-' || (100 + n % 900) || ' '"
        f" || {_pick(COLOURS, 'n', 'c')}"
    )
    sku = "upper(substr(md5('sku' || n), 1, 2)) || '-' || upper(substr(md5('sku' || n), 3, 4)) || '-' || n"
    bought = f"(n * 31 + l * 7919) % {products} + 1"
    for statement in (
        f"""insert into raw_contacts.account (account_uuid, account_number, name, industry, billing_address,
            territory_id, {version})
            select {_id("n", "a")}, 'AC-' || lpad(n::text, 6, '0'), {name}, {_pick(TRADES, "n", "i")},
            jsonb_build_object('city', {_pick(PLACES, "n", "y")}, 'country', 'CH'), {territory}, {stamp}
            from generate_series(1, {accounts}) as n""",
        f"""insert into raw_orders.account_profile (account_uuid, name, territory_id, {version})
            select account_uuid, name, territory_id, {stamp} from raw_contacts.account""",
        f"""insert into raw_contacts.contact (id, account_uuid, first_name, last_name, job_title, email, phone,
            territory_id, {version})
            select {_id("n", "b")}, {_id(f"n % {accounts} + 1", "a")},
            {_pick(FIRST, "n", "n")}, {_pick(SURNAMES, "n", "l")}, 'Buyer',
            'person' || n || '@company' || n % 5000 || '.example',
            '+41 44 ' || lpad((n * 7 % 10000000)::text, 7, '0'), {territory}, {stamp}
            from generate_series(1, {counts["contact"]}) as n""",
        f"""insert into raw_inventory.product_category (id, name, {version})
            select {_id("n", "c")}, (array['Bikes', 'Components', 'Clothing', 'Accessories'])[n], {stamp}
            from generate_series(1, 4) as n""",
        f"""insert into raw_inventory.product (id, sku, name, category_id, color, {version})
            select {_id("n", "d")}, {sku}, {good}, {_id("n % 4 + 1", "c")}, {_pick(COLOURS, "n", "c")}, {stamp}
            from generate_series(1, {products}) as n""",
        f"""insert into raw_orders.sales_order (id, order_number, account_uuid, status, order_date,
            purchase_order_number, territory_id, {version})
            select {_id("n", "f")}, 'SO-' || lpad(n::text, 6, '0'), {_id(f"n % {accounts} + 1", "a")},
            (array['confirmed', 'shipped', 'closed'])[n % 3 + 1], date '2015-01-01' + n % 4000, 'PO' || n * 7,
            {_id(f"(n % {accounts} + 1) % {TERRITORIES}", "e")}, {stamp} from generate_series(1, {orders}) as n""",
        f"""insert into raw_orders.sales_order_line (id, order_id, line_no, product_id, sku, product_name, quantity,
            unit_price, {version}) select {_id("n * 2 + l", "9")}, {_id("n", "f")}, l + 1, product.id, product.sku,
            product.name, 1, 10, {stamp} from generate_series(1, {orders}) as n cross join generate_series(0, 1) as l
            inner join raw_inventory.product as product on product.id = {_id(bought, "d")}""",
        *(f"create index if not exists {t.split('.')[1]}_{c} on {t} ({c})" for t, c in INDEXES),
        "analyze",
    ):
        connection.execute(statement.encode())


def account_id(number: int) -> UUID:
    return UUID(f"{number:012x}7a008000000000000000"[:32])


def territory_id(number: int) -> UUID:
    return UUID(f"{number:012x}7e008000000000000000"[:32])


def questions(chance: random.Random, number: int) -> Iterator[str]:
    """What people type: words begun, two words, with a mistake, numbers, parts of a SKU."""
    for _ in range(number):
        word = chance.choice(chance.choice((PLACES, TRADES, SURNAMES, SURNAMES, THINGS)))
        kind = chance.random()
        if kind < 0.45:
            yield word[: chance.randint(2, len(word))]
        elif kind < 0.65:
            yield f"{word} {chance.choice(TRADES)[: chance.randint(3, 6)]}"
        elif kind < 0.8:
            at = chance.randrange(1, max(2, len(word) - 1))
            yield word[:at] + word[at + 1 :]
        elif kind < 0.9:
            yield chance.choice((f"SO-{chance.randint(1, 600_000):06d}", str(chance.randint(1, 600_000))))
        else:
            yield f"{chance.choice(FIRST)} {chance.choice(SURNAMES)}"


def _id(number: str, kind: str) -> str:
    """Ids that grow with time, as UUIDv7 do; ``account_id`` in SQL for kind ``a``."""
    return f"(lpad(to_hex({number}), 12, '0') || '7{kind}008000000000000000')::uuid"


def _pick(texts: tuple[str, ...], number: str, salt: str) -> str:
    quoted = ", ".join("'" + word.replace("'", "''") + "'" for word in texts)
    return f"(array[{quoted}])[(hashint8({number} * 2654435761 + {ord(salt)}) & 2147483647) % {len(texts)} + 1]"
