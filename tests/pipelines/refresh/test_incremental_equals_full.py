"""Whatever happens at the sources, in whatever groups it is refreshed: every hot mart equals its full build."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pipelines.refresh.lane import Lane
from pipelines.refresh.program import Program
from tests.marts import NORTH, SOUTH, Marts, differences, drain, line, order
from tests.mirror import Change, Connection, Stream, delete, put

TRANSACTIONS = 60
CHANGES = 4


class Workload:
    """Random changes over a small world, so that rows meet, move and vanish often. The same seed, the same changes."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._ids = {kind: [self._uuid() for _ in range(8)] for kind in ("account", "contact", "order", "product")}
        self._categories = [self._uuid() for _ in range(4)]
        self._lines = [self._uuid() for _ in range(16)]
        self._links = [self._uuid() for _ in range(6)]

    def transactions(self) -> Iterator[list[Change]]:
        for _ in range(TRANSACTIONS):
            yield [self._change() for _ in range(self._random.randint(1, CHANGES))]

    def _change(self) -> Change:
        kinds = ("account", "contact", "link", "finance", "order", "order", "line", "line", "product", "category")
        change: Change = getattr(self, f"_{self._random.choice(kinds)}")()
        return change

    def _account(self) -> Change:
        account = self._pick("account")
        if self._happens(0.15):
            return delete("contacts.account", account_uuid=account)
        return put(
            "contacts.account",
            account_uuid=account,
            account_number=f"AC-{account.int % 10**6}",
            name=self._word(),
            currency=self._random.choice(["USD", "EUR"]),
            # Circles too: the source forbids them, the lane must not hang on one.
            parent_id=self._random.choice([None, self._pick("account")]),
            **self._scope(),
        )

    def _contact(self) -> Change:
        contact = self._pick("contact")
        if self._happens(0.2):
            return delete("contacts.contact", id=contact)
        return put("contacts.contact", id=contact, account_uuid=self._maybe("account"), last_name=self._word())

    def _link(self) -> Change:
        link = self._random.choice(self._links)
        if self._happens(0.3):
            return delete("contacts.account_contact", id=link)
        ends = {"account_uuid": self._pick("account"), "contact_id": self._pick("contact")}
        return put("contacts.account_contact", id=link, **ends)

    def _finance(self) -> Change:
        amount = self._amount()
        return put("finance.account_profile", account_uuid=self._pick("account"), balance_due=amount)

    def _order(self) -> Change:
        chosen = self._pick("order")
        if self._happens(0.15):
            return delete("orders.sales_order", id=chosen)
        return order(
            chosen,
            self._pick("account"),
            number=f"SO-{chosen.int % 10**6}",
            day=date(2024, 1, 1) + timedelta(days=self._random.randint(0, 5)),
            status=self._random.choice(["draft", "confirmed", "shipped", "cancelled"]),
            channel=self._random.choice(["online", "reseller"]),
            currency=self._random.choice(["USD", "EUR"]),
            sub_total=self._amount(),
            **self._scope(),
        )

    def _line(self) -> Change:
        chosen = self._random.choice(self._lines)
        if self._happens(0.15):
            return delete("orders.sales_order_line", id=chosen)
        amounts = {"quantity": Decimal(self._random.randint(1, 9)), "unit_price": self._amount()}
        discount = Decimal(self._random.randint(0, 10**6)) / 10**6
        return line(chosen, self._pick("order"), product=self._pick("product"), discount=discount, **amounts)

    def _product(self) -> Change:
        product = self._pick("product")
        if self._happens(0.2):
            return delete("inventory.product", id=product)
        category = self._random.choice([None, *self._categories])
        values = {"name": self._word(), "category_id": category, "list_price": self._amount()}
        return put("inventory.product", id=product, sku=f"SKU-{product.int % 10**6}", **values)

    def _category(self) -> Change:
        category = self._random.choice(self._categories)
        if self._happens(0.2):
            return delete("inventory.product_category", id=category)
        parent = self._random.choice([None, *self._categories])
        return put("inventory.product_category", id=category, name=self._word(), parent_id=parent)

    def _uuid(self) -> UUID:
        return UUID(int=self._random.getrandbits(128))

    def _pick(self, kind: str) -> UUID:
        return self._random.choice(self._ids[kind])

    def _maybe(self, kind: str) -> UUID | None:
        return None if self._happens(0.2) else self._pick(kind)

    def _happens(self, probability: float) -> bool:
        return self._random.random() < probability

    def _word(self) -> str:
        return "".join(self._random.choices("abcdefgh", k=6))

    def _amount(self) -> Decimal:
        return Decimal(self._random.randint(0, 10**8)) / 10**4

    def _scope(self) -> dict[str, UUID | None]:
        return {"territory_id": self._random.choice([None, NORTH, SOUTH])}


@pytest.mark.parametrize("seed", range(6))
def test_any_sequence_of_batches(seed: int, owner: Connection, lane: Lane, program: Program, marts: Marts) -> None:
    """Sometimes pass by pass, sometimes with many batches waiting, so that the mirror is ahead of what is claimed."""
    stream = Stream(owner)
    rhythm = random.Random(seed)
    for changes in Workload(seed).transactions():
        stream.commit(*changes)
        while rhythm.random() < 0.4 and lane.is_due():
            _one_of_the_waiting(owner, rhythm, lane)
    drain(lane)
    assert differences(owner, program) == []
    assert owner.execute("select count(*) from ops.parked_key").fetchone() == (0,)


def _one_of_the_waiting(owner: Connection, rhythm: random.Random, lane: Lane) -> None:
    """Refreshes some of the waiting batches and leaves the others, older and newer ones, in the queue."""
    waiting = [
        batch
        for (batch,) in owner.execute("select batch_id from log.queue where consumer = 'refresh' order by batch_id")
    ]
    held = rhythm.sample(waiting, rhythm.randint(0, len(waiting) - 1))
    owner.execute("delete from log.queue where consumer = 'refresh' and batch_id = any(%s)", [held])
    lane.run_pass()
    owner.execute("insert into log.queue select 'refresh', unnest(%s::bigint[])", [held])
