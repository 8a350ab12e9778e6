"""The wheel holds all that runs: code, templates, styles, scripts, SQL, the dbt project, and nothing that was built."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "target")  # dbt writes there while others' tests run


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's packages as they stand, without what was built beside them."""
    folder = tmp_path_factory.mktemp("project")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for name in project["tool"]["setuptools"]["packages"]["find"]["include"]:
        room = name.removesuffix("*")
        shutil.copytree(ROOT / room, folder / room, ignore=BUILT)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_the_wheel_holds_every_file_of_the_packages(source: Path, tmp_path: Path) -> None:
    here = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    compiled = source / "warehouse" / "dbt" / "target" / "run"
    compiled.mkdir(parents=True)
    (compiled / "model.sql").write_text("select 1")
    build = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == here - {"pyproject.toml", "README.md", "LICENSE"}
    assert {"web/templates/base.html", "web/static/js/app.js", "bi/record.sql", "search/documents/order.sql"} <= held
    assert {"warehouse/dbt/dbt_project.yml", "warehouse/gated_dbt.py", "warehouse/schema/0001_log.sql"} <= held
