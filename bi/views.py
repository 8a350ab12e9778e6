"""The read API's addresses, thin: who asks, what for, and the answer or the refusal."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from bi.account_360 import PERMISSION, SECTIONS, account_360
from bi.http import ObjectView, answer, described, whole
from bi.product_360 import PERMISSION as PRODUCT
from bi.product_360 import product_360
from bi.sales_by_year import ORDERS, sales_by_year
from bi.schema import Account360, Product360, SalesByYear, Timeline
from bi.timeline import DEFAULT_LIMIT, MAX_LIMIT, SUBJECTS, timeline
from policy.bearer import reader
from policy.problems import invalid


class Account360View(ObjectView):
    """One account with everything around it."""

    object_type = "contacts.account"

    @described(
        "account_360",
        "Master data, hierarchy, contacts, finance profile, last orders, totals and change timeline of an"
        " account, live to the last landed batch; `watermark` says to which, per source. A section that the caller's"
        f" roles do not open is null.\n\nPermission `{PERMISSION}`.",
        Account360,
        OpenApiParameter(
            "sections",
            {"type": "array", "items": {"type": "string", "enum": list(SECTIONS)}},
            OpenApiParameter.QUERY,
            style="form",
            explode=False,
            description="Only these sections, comma-separated; all of them unless given.",
        ),
    )
    def get(self, request: Request, key: str) -> HttpResponse:
        principal = reader(request._request)
        account = self.key(key)
        return answer(account_360(settings.HEADWATER_WAREHOUSE, principal, account, _sections(request)))


def _sections(request: Request) -> list[str]:
    given = request.query_params.get("sections")
    if given is None:
        return list(SECTIONS)
    names = [name for name in given.split(",") if name]
    if unknown := [name for name in names if name not in SECTIONS]:
        raise invalid("sections", "unknown", f"knows no {unknown[0][:40]!a}; there are {', '.join(SECTIONS)}")
    return names


class SalesByYearView(ObjectView):
    """What an account bought, year by year."""

    object_type = "contacts.account"

    @described(
        "account_sales_by_year",
        "Sold orders of an account summed by calendar year and currency, of those that the caller may see."
        f"\n\nPermissions `{PERMISSION}` and `{ORDERS}`.",
        SalesByYear,
    )
    def get(self, request: Request, key: str) -> HttpResponse:
        principal = reader(request._request)
        return answer(sales_by_year(settings.HEADWATER_WAREHOUSE, principal, self.key(key)))


class Product360View(ObjectView):
    """A product: prices, place in the catalogue, last orders."""

    object_type = "inventory.product"

    @described(
        "product_360",
        "A product with its prices, categories from the topmost down, last 20 order lines and sales by currency."
        f"\n\nPermission `{PRODUCT}`.",
        Product360,
    )
    def get(self, request: Request, key: str) -> HttpResponse:
        principal = reader(request._request)
        return answer(product_360(settings.HEADWATER_WAREHOUSE, principal, self.key(key)))


def timeline_view(kind: str) -> type[ObjectView]:
    """The view of the timelines of one kind of record."""
    subject = SUBJECTS[kind]

    class TimelineView(ObjectView):
        """Who changed what and why, before → after."""

        object_type = subject.permission.removesuffix(".read")

        @described(
            f"{kind}_timeline",
            f"Changes of the {kind} and of what belongs to it, newest first: who, when, by which command, why, and each"
            f" field before and after.\n\nPermission `{subject.permission}`.",
            Timeline,
            OpenApiParameter("after", str, OpenApiParameter.QUERY, description="`next` of the page before."),
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
                OpenApiParameter.QUERY,
                description=f"Changes in the page; {DEFAULT_LIMIT} unless given.",
            ),
        )
        def get(self, request: Request, key: str) -> HttpResponse:
            principal = reader(request._request)
            limit = whole(request, "limit", DEFAULT_LIMIT)
            after = request.query_params.get("after")
            warehouse, lake = settings.HEADWATER_WAREHOUSE, settings.HEADWATER_LAKE
            return answer(timeline(warehouse, lake, principal, kind, self.key(key), after=after, limit=limit))

    return TimelineView
