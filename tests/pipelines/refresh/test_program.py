"""A hot model that is not declared as the lane needs it is refused before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.refresh.errors import ProgramError
from pipelines.refresh.program import Program, load
from tests.marts import hot_manifest


def altered(folder: Path, model: str, change: dict[str, Any]) -> Path:
    """The real manifest with one hot model's declaration replaced."""
    manifest = json.loads(hot_manifest().read_text())
    node = manifest["nodes"][f"model.headwater.{model}"]
    for path, value in change.items():
        *parents, last = path.split("/")
        target = node
        for parent in parents:
            target = target[parent]
        target[last] = value
    file = folder / "manifest.json"
    file.write_text(json.dumps(manifest))
    return file


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"config/meta/hot": None}, "meta.hot.key"),
        ({"config/meta/hot": {"key": "order_id", "touched": {}}}, "meta.hot.touched"),
        ({"config/meta/hot/key": "nowhere"}, "'nowhere'"),
        ({"compiled_code": "select 1"}, "hot_keys"),
        ({"config/meta/hot/touched": {"sales_order": "select 1"}}, "<service>.<table>"),
    ],
)
def test_a_wrong_declaration_names_model_and_fault(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ProgramError, match="fct_sales_order") as raised:
        load(altered(tmp_path, "fct_sales_order", change))
    assert complaint in str(raised.value)


def test_a_model_comes_after_what_it_reads(program: Program) -> None:
    names = [model.name for model in program.models]
    assert names.index("fct_sales_order") < names.index("agg_sales_daily")
    assert names.index("dim_account") < names.index("c360_account")
    below = {model.name: model.below for model in program.models}
    assert below["fct_sales_order"] == {"agg_sales_daily", "c360_account"}
    assert below["dim_contact"] == set()


def test_every_scan_mark_becomes_keys_or_everything(program: Program) -> None:
    for model in program.models:
        assert "hot_keys" not in model.insert_keys + model.insert_all
        assert f"any($1::{model.key_type}[])" in model.insert_keys
        assert "$1" not in model.insert_all
