"""The panels of contacts, orders and products."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings

from bi.product_360 import product_360
from web.records import contact, order, product
from web.records.history import history
from web.records.panels import Panel, Panels, Watermark
from web.requests import PageRequest


def _history(kind: str) -> Any:
    return lambda request, key: history(request, kind, key)


def _product(request: PageRequest, key: UUID) -> tuple[dict[str, Any], Watermark]:
    found = product_360(settings.HEADWATER_WAREHOUSE, request.reader.principal, key)
    return {"product": found}, found["watermark"]


CONTACT_PANELS = Panels(
    contact.PAGE,
    (Panel("history", "History", "contacts.contact.read", "records/panel_history.html", _history("contact"), 8),),
)
ORDER_PANELS = Panels(
    order.PAGE,
    (Panel("history", "History", "orders.sales_order.read", "records/panel_history.html", _history("order"), 8),),
)
PRODUCT_PANELS = Panels(
    product.PAGE,
    (
        Panel("prices", "Prices", product.READ, "records/panel_prices.html", _product, 4),
        Panel("sold", "Sold", product.READ, "records/panel_sold.html", _product, 4, of_totals=True),
        Panel("category", "In the catalogue", product.READ, "records/panel_category.html", _product, 2),
        Panel("buyers", "Recent orders", product.READ, "records/panel_buyers.html", _product, 8, of_totals=True),
        Panel("history", "History", product.READ, "records/panel_history.html", _history("product"), 8),
    ),
)
