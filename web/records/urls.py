"""Addresses of records' pages."""

from __future__ import annotations

from django.urls import path, register_converter

from web.records import create, views


class AccountTab:
    """The tabs of an account beside its overview."""

    regex = "orders|contacts|360"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(AccountTab, "account_tab")

urlpatterns = [
    path("lookup/<slug:entity>", views.lookup),
    path("accounts/new", create.account),
    path("accounts/<uuid:key>", views.account_overview),
    path("accounts/<uuid:key>/<account_tab:tab>", views.account_tab),
    path("accounts/<uuid:key>/related", views.account_related),
    path("accounts/<uuid:key>/panels/<slug:name>", views.account_panel),
    path("accounts/<uuid:key>/facts/<str:name>", views.account_fact),
    path("accounts/<uuid:key>/finance/<slug:name>", views.finance_fact),
    path("accounts/<uuid:key>/do/<slug:name>", views.account_do),
    path("contacts/new", create.contact),
    path("contacts/<uuid:key>", views.contact_page),
    path("contacts/<uuid:key>/panels/<slug:name>", views.contact_panel),
    path("contacts/<uuid:key>/facts/<str:name>", views.contact_fact),
    path("orders/new", create.order),
    path("orders/<uuid:key>", views.order_page),
    path("orders/<uuid:key>/related", views.order_related),
    path("orders/<uuid:key>/panels/<slug:name>", views.order_panel),
    path("orders/<uuid:key>/facts/<slug:name>", views.order_fact),
    path("orders/<uuid:key>/do/<slug:name>", views.order_do),
    path("orders/<uuid:key>/lines", views.order_lines),
    path("orders/<uuid:key>/lines/new", views.line_new),
    path("orders/<uuid:key>/lines/<int:line_no>", views.line_edit),
    path("orders/<uuid:key>/lines/<int:line_no>/remove", views.line_remove),
    path("products/<uuid:key>", views.product_page),
    path("products/<uuid:key>/related", views.product_related),
    path("products/<uuid:key>/panels/<slug:name>", views.product_panel),
    path("products/<uuid:key>/facts/<slug:name>", views.product_fact),
    path("products/<uuid:key>/do/<slug:name>", views.product_do),
]
