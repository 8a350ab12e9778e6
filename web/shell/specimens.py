"""What the styleguide shows: every component with what may stand in it, long names and hostile text included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from transactional.kernel.problems import FieldError, Rejected
from web.forms import Field, Form
from web.freshness import Freshness
from web.icons import ICONS

LONG = "Société Générale de Distribution Internationale et de Logistique Müller-Lüdenscheidt & Söhne GmbH"
HOSTILE = "<script>alert('x')</script> & \"quotes\""
TYPES = (("Customer", "Customer"), ("Prospect", "Prospect"))
SWATCHES = (
    *("ground", "surface", "sunken", "hover", "chosen", "accent"),
    *("good", "warn", "bad", "info", "text", "muted"),
)
FIELDS = (
    Field("name", "Name", required=True, wide=True, hint="As it stands on invoices."),
    Field("account_type", "Type", "select", options=TYPES, required=True),
    Field("annual_revenue", "Annual revenue", "amount", hint="1,234.5 or 1.234,5", suffix="USD"),
    Field("since", "Customer since", "date", hint="3/4, 3 Apr or 2026-04-03"),
    Field("email", "Email", "email"),
    Field("note", "Note", "longtext", wide=True),
    Field("taxable", "Sales tax applies", "checkbox", wide=True),
)


def specimens() -> dict[str, Any]:
    now = datetime.now(UTC)
    wrong = Form.sent(FIELDS, {"account_type": "Customer", "annual_revenue": "twelve", "email": "nobody"})
    wrong.payload()
    wrong.refuse(Rejected("", errors=[FieldError("email", "string_pattern_mismatch", "no address")]))
    return {
        "form": Form.of(FIELDS, {"name": "Acme Bicycles", "account_type": "Customer", "annual_revenue": "1234567.5"}),
        "wrong": wrong,
        "fact_form": Form.of([Field("industry", "Industry")], {"industry": "Retail"}),
        "conflict": {"who": "Bob Miller", "theirs": "Wholesale", "version": 8},
        "fresh": Freshness(now - timedelta(seconds=2), False),
        "old": Freshness(now - timedelta(seconds=400), False),
        "updating": Freshness(now, True),
        "statuses": ("Active", "On Hold", "Inactive", "draft", "confirmed", "shipped", "closed", "cancelled"),
        "amounts": ("1234567.5", "0", "-42.125", None),
        "long": LONG,
        "hostile": HOSTILE,
        "icons": sorted(ICONS),
        "earlier": now - timedelta(hours=3),
        "swatches": SWATCHES,
    }
