"""What people type is read as they mean it, and what nobody can read is said in words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from transactional.kernel.problems import FieldError, Rejected
from web import formats, typed
from web.forms import Field, Form

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1234.5", "1234.5"),
        ("1,234.5", "1234.5"),
        ("1.234,5", "1234.5"),
        ("1 234,50", "1234.50"),
        ("1\u202f234.50", "1234.50"),
        ("1'234.50", "1234.50"),
        ("1,234", "1234"),
        ("1.234", "1.234"),
        ("12,5", "12.5"),
        ("0,125", "0.125"),
        ("1,234,567", "1234567"),
        ("1.234.567", "1234567"),
        ("$ 12", "12"),
        ("12 €", "12"),
        ("USD 1,000", "1000"),
        ("−3", "-3"),
        ("-0.5", "-0.5"),
    ],
)
def test_amounts(text: str, meant: str) -> None:
    assert typed.amount(text) == Decimal(meant)


@pytest.mark.parametrize("text", ["", "twelve", "1e9", "1.2.3,4,5", "--1", "1-2", "NaN", "Infinity", "١٢", "1,2.3,4"])
def test_what_is_no_amount_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="Enter a number"):
        typed.amount(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-04-03", date(2026, 4, 3)),
        ("3/4", date(2027, 4, 3)),
        ("3 Apr", date(2027, 4, 3)),
        ("Apr 3", date(2027, 4, 3)),
        ("3rd april 2025", date(2025, 4, 3)),
        ("3.4.26", date(2026, 4, 3)),
        ("1/12", date(2026, 12, 1)),
        ("29 feb 2028", date(2028, 2, 29)),
        ("today", TODAY),
    ],
)
def test_days_come_day_first_and_nearest_to_today(text: str, meant: date) -> None:
    assert typed.day(text, TODAY) == meant


@pytest.mark.parametrize("text", ["", "31/2", "32/1/2026", "soon", "1/2/3/4", "99999-1-1", "0/0"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"date|no day"):
        typed.day(text, TODAY)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1234567.5", "1,234,567.50"),
        ("0", "0"),
        ("-42.125", "−42.12"),
        (None, "–"),
        ("-0.001", "0.00"),
        ("0.0000", "0"),
    ],
)
def test_money(value: str | None, shown: str) -> None:
    assert formats.money(value) == shown


def test_money_without_cents() -> None:
    assert formats.money("1234.4", "JPY") == "1,234"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "just now"),
        (2, "2 s ago"),
        (61, "1 min ago"),
        (3700, "1 h ago"),
        (3 * 86400, "3 d ago"),
        (9 * 86400, "13 Nov 2026"),
    ],
)
def test_ages(seconds: int, shown: str) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert formats.ago(now - timedelta(seconds=seconds), now) == shown


FIELDS = (
    Field("name", "Name", required=True),
    Field("revenue", "Annual revenue", "amount"),
    Field("address.city", "City"),
    Field("address.country", "Country", "select", options=(("GB", "United Kingdom"),)),
)


def test_a_form_gives_the_commands_values_nested_by_its_dots() -> None:
    form = Form.sent(FIELDS, {"name": " Acme ", "revenue": "1.234,5", "address.city": "Leeds"})
    assert form.payload() == {"name": "Acme", "revenue": "1234.5", "address": {"city": "Leeds"}}
    assert Form.sent(FIELDS, {"name": "Acme"}).payload(empty=True) == {"name": "Acme", "revenue": None, "address": None}


def test_mistakes_stand_at_their_fields_and_what_was_typed_stays() -> None:
    form = Form.sent(FIELDS, {"name": "", "revenue": "lots", "address.country": "XX"})
    assert form.payload() is None
    assert {bound.name: bound.error for bound in form.wrong} == {
        "name": "Enter a name.",
        "revenue": "Enter a number, such as 1,234.50.",
        "address.country": "Choose one of the list.",
    }
    assert form["revenue"].text == "lots"


def test_a_commands_refusal_goes_to_its_field_and_what_is_about_none_stands_above() -> None:
    form = Form.sent(FIELDS, {"name": "Acme"})
    faults = [
        FieldError("address.country", "string_pattern_mismatch", "String should match"),
        FieldError("parent_id", "cycle", "it would become its own ancestor"),
    ]
    form.refuse(Rejected("The command is not valid.", errors=faults))
    assert form["address.country"].error == "This does not look like a country."
    assert form.general == ["It would become its own ancestor."]


def test_control_characters_of_a_paste_are_named() -> None:
    form = Form.sent(FIELDS, {"name": "Ac\x00me"})
    assert form.payload() is None
    assert "control characters" in form["name"].error
