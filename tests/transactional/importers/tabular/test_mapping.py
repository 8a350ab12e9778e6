"""Mappings that contradict themselves, their target or the meaning of a number are refused with every fault at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from transactional.importers.tabular import mapping
from transactional.importers.tabular.converting import reader
from transactional.importers.tabular.errors import MappingError, Unfit
from transactional.importers.tabular.mapping import Rule
from transactional.importers.tabular.targets import FieldType, targets

GOOD: dict[str, Any] = {"target": "accounts", "source": "x", "key": "id", "fields": {"name": "name"}}


def faults(document: dict[str, Any]) -> str:
    with pytest.raises(MappingError) as refused:
        mapping.check("m", document, targets())
    return str(refused.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"colour": "c"}, "accounts has no field colour"),
        ({"annual_revenue": {"column": "r", "unit": "parsec"}}, "unknown unit 'parsec'"),
        ({"annual_revenue": {"column": "r", "unit": "percent"}}, "percent is a unit of shares"),
        ({"annual_revenue": {"column": "r", "unit": "EUR"}}, "say so with [fields.currency]"),
        (
            {"annual_revenue": {"column": "r", "unit": "million EUR"}, "currency": {"value": "USD"}},
            "annual_revenue is in EUR and the field currency is 'USD'",
        ),
        ({"annual_revenue": {"column": "r", "type": "date"}}, "it is of type number, not date"),
        ({"industry": {"column": "i", "format": "%Y"}}, "only a date has a format"),
        ({"industry": {"column": "i", "unit": "k"}}, "only a number has a unit"),
        ({"industry": {"column": "i", "lookup": "accounts"}}, "it is no id"),
        ({"industry": {"column": "i", "value": "x"}}, "say exactly one of column, columns and value"),
        ({"industry": {"colum": "i"}}, "industry.colum"),
        ({"account_type": {"value": "Customers"}}, "'Customers' is none of Customer, Vendor"),
        ({"status": {"column": "s", "values": {"live": "Actve"}}}, "values leads to Actve"),
        ({"custom": {"a": {"column": "a", "type": "colour"}}}, "type 'colour' is none of text"),
        ({"primary_contact.id": "p"}, "say with lookup"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(fields: dict[str, Any], said: str) -> None:
    assert said in faults(GOOD | {"fields": GOOD["fields"] | fields})


def test_all_faults_are_told_at_once() -> None:
    said = faults(
        GOOD
        | {"fields": {"name": "n", "colour": "c", "industry": {"column": "i", "unit": "k"}}, "lists": {"lines": {}}}
    )
    assert all(part in said for part in ("no field colour", "industry: only a number", "no list 'lines'"))


def test_what_is_needed_is_asked_for() -> None:
    assert "Field name is needed" in faults(GOOD | {"fields": {"industry": "i"}})
    assert "There is no target 'acounts'; known are accounts" in faults(GOOD | {"target": "acounts"})
    lines = {"product_id": "p", "unit_price": "u"}
    assert "lists.lines needs quantity." in faults(GOOD | {"target": "sales-orders", "lists": {"lines": lines}})


def test_toml_and_yaml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('target = "accounts"\nsource = "x"\nkey = "id"\n[fields]\nname = "n"\n')
    (tmp_path / "m.yaml").write_text("target: accounts\nsource: x\nkey: id\nfields:\n  name: n\n")
    one, other = (mapping.load(tmp_path / f"m.{suffix}", targets()) for suffix in ("toml", "yaml"))
    assert one.mapped == other.mapped


@pytest.mark.parametrize("text", ["target = ", "\x00", "target = 1", ""])
def test_a_mapping_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(MappingError, match="nothing was written"):
        mapping.load(tmp_path / "m.toml", targets())
    with pytest.raises(MappingError, match="cannot be read"):
        mapping.load(tmp_path / "absent.toml", targets())


@pytest.mark.parametrize(
    ("rule", "kind", "cell", "value"),
    [
        ({}, "number", "1,234.50", "1234.50"),
        ({"decimal": ","}, "number", "1.234,50", "1234.50"),
        ({"decimal": ","}, "number", "12", "12"),
        ({}, "number", "(12.50)", "-12.50"),
        ({}, "number", "$ 4,821", "4821"),
        ({}, "number", "1'234.5", "1234.5"),
        ({}, "number", 0.1, "0.1"),
        ({"unit": "thousand"}, "number", "1.5", "1500.0"),
        ({"unit": "percent"}, "number", "15", "0.15"),
        ({"unit": "percent"}, "number", "15%", "0.15"),
        ({"unit": "cents"}, "number", "1999", "19.99"),
        ({"round": 2}, "number", "9.80000019", "9.80"),
        ({}, "integer", "10248.0", 10248),
        ({"format": "%d.%m.%Y"}, "date", "03.04.2026", "2026-04-03"),
        ({}, "date", "2026-04-03T10:00:00", "2026-04-03"),
        ({}, "flag", "Yes", True),
        ({}, "country", "deutschland", "DE"),
        ({}, "country", "U.S.A.", "US"),
        ({"values": {"Philipines": "PH"}}, "country", "Philipines", "PH"),
        ({}, "currency", "eur", "EUR"),
        ({"part": "all but the first word"}, "text", "Isabel de Castro", "de Castro"),
        ({"style": "login"}, "text", "José Pérez-Núñez", "jose.perez.nunez"),
        ({"default": "x"}, "text", None, "x"),
        ({}, "text", None, None),
    ],
)
def test_cells_become_values(rule: dict[str, Any], kind: str, cell: Any, value: object) -> None:
    assert reader(Rule(column="c", **rule), FieldType(kind))({"c": cell}) == value


@pytest.mark.parametrize(
    ("rule", "kind", "cell", "said"),
    [
        ({}, "number", "1,23", "Say decimal"),
        ({}, "number", "NaN", "no finite number"),
        ({}, "number", "1e999999999", "more digits"),
        ({}, "number", "twelve", "no number"),
        ({}, "integer", "1.5", "no whole number"),
        ({}, "date", "31.12.2026", "Say format"),
        ({"format": "%d.%m.%Y"}, "date", "31.02.2026", "no date"),
        ({}, "flag", "maybe", "neither yes nor no"),
        ({}, "country", "Atlantis", "no country"),
        ({}, "currency", "€", "no currency"),
        ({}, "text", "a\x00b", "NUL"),
    ],
)
def test_cells_that_do_not_fit_are_refused_with_advice(rule: dict[str, Any], kind: str, cell: str, said: str) -> None:
    with pytest.raises(Unfit) as refused:
        reader(Rule(column="c", **rule), FieldType(kind))({"c": cell})
    told = f"{refused.value.reason} {refused.value.advice}"
    assert said in told
