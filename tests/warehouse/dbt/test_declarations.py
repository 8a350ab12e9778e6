"""A mart that does not say whose it is and who may read it is not built, and nothing else is either."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.marts import Marts, hot_manifest
from warehouse.compile import PROJECT, DbtError, build, compile_hot

UNDECLARED = """
version: 2
models:
  - name: fct_secret
    description: Everybody's business.
    config:
      contract: {enforced: false}
    columns:
      - name: salary
"""


def test_a_mart_without_its_declarations_stops_the_build(marts: Marts, tmp_path: Path) -> None:
    project = tmp_path / "dbt"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target"))
    (project / "models/marts/fct_secret.sql").write_text("select 1 as salary")
    (project / "models/marts/_secret.yml").write_text(UNDECLARED)
    with pytest.raises(DbtError) as raised:
        build(marts.dsn(), tests=False, select=["fct_secret"], target=tmp_path / "target", project=project)
    said = str(raised.value)
    for fault in (
        "fct_secret: no meta.owner",
        "fct_secret: contract not enforced",
        "fct_secret: meta.row_security must be",
        "fct_secret.salary: no description",
    ):
        assert fault in said
    with marts.connect() as owner:
        assert owner.execute("select to_regclass('marts.fct_secret')").fetchone() == (None,)


def test_the_hot_compile_follows_the_project_and_is_not_repeated(tmp_path: Path) -> None:
    project, target = tmp_path / "dbt", tmp_path / "target"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target"))
    shutil.copytree(hot_manifest().parent, target)
    made = (target / "manifest.json").stat().st_mtime_ns
    assert compile_hot(target, project).stat().st_mtime_ns == made
    model = project / "models/marts/core/dim_contact.sql"
    model.write_text(model.read_text().replace("concat_ws(' '", "concat_ws('  '"))
    manifest = compile_hot(target, project)
    assert manifest.stat().st_mtime_ns > made
    assert "concat_ws('  '" in manifest.read_text()
