"""What people do at Contacts, Orders and search, one step after the other through the gateway, each step timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx

from tests.kafka.profile.whole import WAIT
from tests.stack import Stack, eventually

ACCOUNTS, ORDERS, PRODUCTS = "/api/contacts/accounts", "/api/orders/sales-orders", "/api/inventory/products"
PROFILES = "/api/finance/account-profiles"


class Work:
    """Begins with an account and a product that Orders and search know. ``seconds`` are those of each step, by kind."""

    def __init__(self, stack: Stack) -> None:
        self._client = httpx.Client(base_url=stack.url, timeout=30, trust_env=False)
        self.renew(stack)
        self.word = f"w{uuid4().hex[:10]}"
        self.seconds: dict[str, list[float]] = {}
        self.account = str(
            self._do("", "POST", ACCOUNTS, {"name": self.word, "account_type": "Customer"})["account_uuid"]
        )
        sku = {"sku": uuid4().hex[:12], "name": "Bike", "list_price": "1000"}
        self._product = str(self._do("", "POST", PRODUCTS, sku)["id"])
        self.await_(lambda: self.status(f"/api/orders/account-profiles/{self.account}") == 200, "Orders' account")
        self.await_(lambda: self._client.post(ORDERS, json=self._order()).status_code == 201, "Orders' product")
        self.await_(lambda: self.account in self.found(self.word), "the account to be found")

    def renew(self, stack: Stack) -> None:
        """Takes another token; one lasts ten minutes."""
        self._client.headers["Authorization"] = f"Bearer {stack.token()}"

    def round(self, name: str) -> str:
        """An account is made and read, an order written, confirmed and read, and something looked for; each must be
        answered as it should. Returns the new account."""
        account = self._do("Contacts writes", "POST", ACCOUNTS, {"name": name, "account_type": "Customer"})
        self._do("Contacts reads", "GET", f"{ACCOUNTS}/{account['account_uuid']}")
        order = self._do("Orders writes", "POST", ORDERS, self._order())
        self._do("Orders writes", "POST", f"{ORDERS}/{order['id']}/confirm", {})
        assert self._do("Orders reads", "GET", f"{ORDERS}/{order['id']}")["status"] == "confirmed"
        found = self._do("search", "GET", f"/api/search?q={self.word}&entity=account")
        assert self.account in str(found)
        return str(account["account_uuid"])

    def rename(self, account: str, name: str) -> None:
        self._do("Contacts writes", "POST", f"{ACCOUNTS}/{account}/update", {"name": name})

    def found(self, word: str) -> str:
        return str(self._do("", "GET", f"/api/search?q={word}&entity=account"))

    def status(self, path: str) -> int:
        return self._client.get(path).status_code

    def read(self, path: str) -> Any:
        return self._do("", "GET", path)

    def await_(self, true: Callable[[], object], what: str) -> None:
        eventually(true, WAIT, what)

    def close(self) -> None:
        self._client.close()

    def _order(self) -> dict[str, object]:
        return {"account_uuid": self.account, "lines": [{"product_id": self._product, "quantity": 2}]}

    def _do(self, kind: str, method: str, path: str, body: object = None) -> Any:
        headers = {"Idempotency-Key": str(uuid4())} if method == "POST" else {}
        began = time.perf_counter()
        answer = self._client.request(method, path, json=body, headers=headers)
        took = time.perf_counter() - began
        assert answer.status_code in (200, 201), f"{method} {path}: {answer.status_code} {answer.text}"
        if kind:
            self.seconds.setdefault(kind, []).append(took)
        return answer.json()
