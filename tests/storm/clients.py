"""Clients that write over HTTP while everything around them dies, and resend under the same key what got no answer."""

from __future__ import annotations

import random
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from tests.storm.ledger import Ledger, Write

PACE = 0.02
"""Seconds between a client's writes: four clients then ask for about a hundred writes a second together."""

PATIENCE = 60.0
"""Seconds for which a client resends one write after the storm is over."""


class Clients:
    """``count`` threads. ``base`` is asked each time: a stack that comes back may have had to take another port."""

    def __init__(
        self, base: Callable[[], str], token: Callable[[], str], ledger: Ledger, *, count: int = 4, seed: int = 1
    ) -> None:
        self.base = base
        self.ledger = ledger
        self.products: list[str] = []
        self._token = token
        self._current = token()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._guard, args=(Client(self, random.Random(seed + n), n),), daemon=True)
            for n in range(count)
        ]
        self.failures: list[BaseException] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the clients once each has settled its last write."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE + 30)
        if self.failures:
            raise self.failures[0]

    def describe(self) -> str:
        """What the load is doing, for whoever waits for its effects."""
        alive = sum(thread.is_alive() for thread in self._threads)
        failed = "".join(f"; a client failed: {failure!r}" for failure in self.failures[:1])
        return (
            f"{alive} of {len(self._threads)} clients write, {self.ledger.acknowledged} writes acknowledged,"
            f" refused {dict(self.ledger.refusals.most_common(3))}{failed}"
        )

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def bearer(self, *, renew: bool = False) -> str:
        if renew:
            self._current = self._token()
        return self._current

    def _guard(self, client: Client) -> None:
        try:
            client.run()
        except BaseException as error:
            self.failures.append(error)


class Client:
    """One user's session: accounts, contacts and orders of its own, so that every refusal would be a surprise."""

    def __init__(self, fleet: Clients, rng: random.Random, number: int) -> None:
        self.fleet = fleet
        self.random = rng
        self.number = number
        self.count = 0
        self.accounts: list[str] = []
        self.contacts: list[str] = []
        self.held: set[str] = set()
        self.links: list[tuple[str, str, str]] = []
        self.http = httpx.Client(timeout=10)

    def run(self) -> None:
        while not self.fleet.stopping:
            action = self.random.choices(
                (
                    self.create_account,
                    self.update_account,
                    self.hold_or_release,
                    self.create_order,
                    self.link,
                    self.unlink,
                ),
                (4, 4, 1, 3, 1, 1),
            )[0]
            action()
            time.sleep(PACE)

    def create_account(self) -> None:
        token = self.token("account")
        body = {"name": token, "account_type": "Customer", "billing_address": {"city": "Bergen", "country": "NO"}}
        created = self.send(token, "create account", "/api/contacts/accounts", body)
        if created:
            self.accounts.append(created["account_uuid"])

    def update_account(self) -> None:
        if self.accounts:
            account, token = self.random.choice(self.accounts), self.token("industry")
            self.send(token, "update account", f"/api/contacts/accounts/{account}/update", {"industry": token})

    def hold_or_release(self) -> None:
        """Finance learns of an account by the stream; until it has, it does not know the account (404)."""
        if not self.accounts:
            return
        account, token = self.random.choice(self.accounts[:20]), self.token("hold")
        path = f"/api/finance/account-profiles/{account}"
        if account in self.held:
            if self.send(token, "release hold", f"{path}/release-credit-hold", {}):
                self.held.discard(account)
        elif self.send(token, "place hold", f"{path}/place-on-credit-hold", {"reason": token}):
            self.held.add(account)

    def create_order(self) -> None:
        """Orders learns of accounts and products by the stream, too (422 until then)."""
        if not self.accounts or not self.fleet.products:
            return
        account, token = self.random.choice(self.accounts), self.token("order")
        products = self.random.sample(self.fleet.products, 2)
        lines = [{"product_id": p, "quantity": str(self.random.randint(1, 9))} for p in products]
        body = {"account_uuid": account, "channel": "online", "purchase_order_number": token, "lines": lines}
        self.send(token, "create order", "/api/orders/sales-orders", body)

    def link(self) -> None:
        if not self.accounts:
            return
        name, role = self.token("contact"), self.token("role")
        contact = self.send(name, "create contact", "/api/contacts/contacts", {"last_name": name})
        if contact:
            account = self.random.choice(self.accounts)
            body = {"contact_id": contact["id"], "role": role}
            if self.send(role, "link contact", f"/api/contacts/accounts/{account}/link-contact", body):
                self.links.append((account, contact["id"], role))

    def unlink(self) -> None:
        """A deletion."""
        if self.links:
            account, contact, role = self.links.pop()
            path = f"/api/contacts/accounts/{account}/unlink-contact"
            self.send(role, "unlink contact", path, {"contact_id": contact, "role": role})

    def token(self, kind: str) -> str:
        self.count += 1
        return f"storm-{kind}-{self.number}-{self.count}"

    def send(self, token: str, kind: str, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Sends until there is a definite answer; None if it was a refusal (or the patience ran out)."""
        write = self.fleet.ledger.open(token, kind)
        key = str(uuid.uuid4())
        deadline: float | None = None
        while True:
            answer = self.attempt(write, path, body, key)
            if answer is not None and answer.status_code < 400:
                write.acknowledged = True
                found: dict[str, Any] = answer.json()
                return found
            if answer is not None and answer.status_code == 401:
                self.fleet.ledger.refuse("401", words(answer, "detail"))
                self.renew()
            elif answer is not None and answer.status_code < 500:
                write.refused = f"{answer.status_code} {answer.text[:200]}"
                self.fleet.ledger.refuse(f"{answer.status_code} {kind}", words(answer, "title"))
                return None
            if self.fleet.stopping:
                deadline = deadline or time.monotonic() + PATIENCE
                if time.monotonic() > deadline:
                    return None
            time.sleep(0.1)

    def renew(self) -> None:
        """A new token, which takes identity's database: as long as that is down, the old one."""
        try:
            self.fleet.bearer(renew=True)
        except (AssertionError, subprocess.TimeoutExpired):
            time.sleep(0.2)

    def attempt(self, write: Write, path: str, body: dict[str, Any], key: str) -> httpx.Response | None:
        """None if nobody can say whether it happened."""
        write.attempts += 1
        try:
            return self.http.post(
                self.fleet.base() + path,
                json=body,
                headers={"Authorization": f"Bearer {self.fleet.bearer()}", "Idempotency-Key": key},
            )
        except httpx.HTTPError:
            return None


def words(answer: httpx.Response, name: str) -> str:
    """A member of a problem's body; of an answer that is none, its first line."""
    try:
        return str(answer.json().get(name, ""))
    except ValueError:
        return (answer.text.splitlines() or [""])[0][:80]
