"""Lines of a draft order: added, changed and taken off where they stand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import HttpResponse

from transactional.kernel.problems import Problem
from web import errors
from web.answers import Toast, Undo, go, part
from web.commands import run, seen_version
from web.forms import Field, Form
from web.records.lookups import product_in
from web.records.order import PAGE, number, read_order
from web.records.source import Record
from web.requests import PageRequest, is_fragment

ADD, UPDATE, REMOVE = "orders.add_line", "orders.update_line", "orders.remove_line"


class Percent(Field):
    """A share that people type as a percentage."""

    def read(self, text: str) -> Any:
        value = super().read(text)
        return value if value is None else str(Decimal(value) / 100)

    def shown(self, value: Any) -> str:
        return "" if value is None else super().shown(Decimal(str(value)) * 100)


PRODUCT = Field("product_id", "Product", required=True, lookup="product", hint="SKU or name")
AMOUNTS = (
    Field("quantity", "Quantity", "amount", required=True),
    Field("unit_price", "Unit price", "amount", hint="List price unless given"),
    Percent("discount", "Discount", "amount", suffix="%"),
)


def add(request: PageRequest, key: UUID) -> HttpResponse:
    """The form for a new line, or adding it."""
    return _edit(request, key, None)


def change(request: PageRequest, key: UUID, line_no: int) -> HttpResponse:
    """The form of a line, or changing it."""
    return _edit(request, key, line_no)


def remove(request: PageRequest, key: UUID, line_no: int) -> HttpResponse:
    """Takes a line off at once; the toast can put it back, as a new line."""
    record = read_order(request, key)
    line = line_of(record, line_no)
    if line is None or request.method != "POST":
        return errors.absent(request)
    try:
        run(request, REMOVE, {"id": str(key), "line_no": line_no}, version=seen_version(request))
    except Problem as problem:
        if problem.status in (401, 404):
            raise
        return _lines(request, read_order(request, key), toast=Toast(problem.detail, "bad"), status=problem.status)
    fields = {"product_id": line["sku"]} | {bound.field.name: bound.text for bound in Form.of(AMOUNTS, line).fields}
    undo = Undo(f"{PAGE}/{key}/lines/new", fields)
    return _lines(
        request, read_order(request, key), toast=Toast(f"{line['product_name']} is off the order.", undo=undo)
    )


def _edit(request: PageRequest, key: UUID, line_no: int | None) -> HttpResponse:
    record = read_order(request, key)
    line = line_of(record, line_no) if line_no is not None else None
    command = ADD if line_no is None else UPDATE
    if (line_no is not None and line is None) or command not in record.actions:
        return errors.absent(request)
    fields = (PRODUCT, *AMOUNTS) if line is None else AMOUNTS
    if request.method != "POST":
        return _form(request, record, line, Form.of(fields, line or {}))
    form = Form.sent(fields, request.POST)
    payload = form.payload()
    if payload is None:
        return _form(request, record, line, form, status=422)
    try:
        if line is None:
            payload["product_id"] = product_in(request, payload["product_id"], "product_id")
        run(request, command, {"id": str(key), **_own(line), **payload}, version=seen_version(request))
    except Problem as problem:
        if problem.status in (401, 404):
            raise
        if problem.code == "stale_version":
            form.general.append("Somebody changed the order meanwhile. Look at its lines, then save once more.")
        else:
            form.refuse(problem)
        return _form(request, read_order(request, key), line, form, status=problem.status)
    what = "Line added." if line is None else "Line changed."
    return _lines(request, read_order(request, key), toast=Toast(what))


def _own(line: dict[str, Any] | None) -> dict[str, Any]:
    return {} if line is None else {"line_no": line["line_no"]}


def line_of(record: Record, line_no: int | None) -> dict[str, Any] | None:
    return next((line for line in record.data["lines"] if line["line_no"] == line_no), None)


def _lines(request: PageRequest, record: Record, *, toast: Toast, status: int = 200) -> HttpResponse:
    if is_fragment(request):
        return part(request, "records/lines.html", lines_of(record), title="Lines", toast=toast, status=status)
    return go(request, f"{PAGE}/{record.key}", toast=toast)


def _form(
    request: PageRequest, record: Record, line: dict[str, Any] | None, form: Form, *, status: int = 200
) -> HttpResponse:
    context = lines_of(record) | {
        "form": form,
        "line": line,
        "action": f"{PAGE}/{record.key}/lines/{line['line_no'] if line else 'new'}",
    }
    return part(request, "records/lines.html", context, title=f"Lines of {number(record)}", status=status)


def lines_of(record: Record) -> dict[str, Any]:
    """What ``records/lines.html`` shows."""
    return {
        "order": record,
        "lines": record.data["lines"],
        "page": f"{PAGE}/{record.key}",
        "sums": [
            ("Subtotal", record.data["sub_total"]),
            ("Tax", record.data["tax_amount"]),
            ("Freight", record.data["freight"]),
            ("Total", record.data["total_due"]),
        ],
        "has_tracking": any(line["carrier_tracking_number"] for line in record.data["lines"]),
        "can_add": ADD in record.actions and not record.silent,
        "can_change": UPDATE in record.actions and not record.silent,
    }
