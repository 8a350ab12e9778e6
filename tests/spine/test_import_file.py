"""Any file through the command line: killed in the middle and completed by a second run, rehearsed, refused by line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from headwater.state import PROJECT
from tests.stack import Stack, eventually

pytestmark = pytest.mark.timeout(240)
ROWS = 3_500
MAPPING = 'target = "accounts"\nsource = "{source}"\nkey = "id"\n[fields]\nname = "name"\n'


@pytest.fixture
def files(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[str, str]:
    """A CSV file of ROWS accounts and two bad rows, and its mapping under a source of the test's own."""
    rows = "".join(f"{n},Company {n}\n" for n in range(ROWS))
    (tmp_path / "companies.csv").write_text(f"id,name\n{rows}bad,\n7,Again\n")
    (tmp_path / "companies.toml").write_text(MAPPING.format(source=request.node.name))
    return str(tmp_path / "companies.csv"), str(tmp_path / "companies.toml")


def known(stack: Stack, source: str) -> int:
    with psycopg.connect(stack.config.service_url("contacts", role="postgres")) as contacts:
        query = "select count(*) from contacts.external_reference where source = %s and resource = 'contacts.account'"
        row = contacts.execute(query, [source]).fetchone()
    assert row is not None
    return int(row[0])


def test_a_killed_import_is_completed_by_the_next(
    stack: Stack, files: tuple[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file, mapping = files
    arguments = ["import", "file", "--from", file, "--mapping", mapping, "--rejected", str(tmp_path / "rejected.csv")]
    killed = subprocess.run(
        [sys.executable, "-m", "headwater", *arguments],
        cwd=PROJECT,
        env=stack.environment | {"HEADWATER_FAILPOINT": "command.after_commit:2"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert known(stack, request.node.name) == 2_000
    report = json.loads(stack.run(*arguments, "--json", check=False).stdout)
    assert (report["created"], report["unchanged"], report["rejected"]) == (ROWS - 2_000, 2_000, 2)
    assert known(stack, request.node.name) == ROWS
    again = json.loads(stack.run(*arguments, "--json", check=False).stdout)
    assert (again["created"], again["unchanged"], again["rejected"]) == (0, ROWS, 2)
    with psycopg.connect(stack.config.warehouse_url("postgres"), autocommit=True) as warehouse:
        landed = "select count(*) from raw_contacts.external_reference where source = %s"
        eventually(lambda: warehouse.execute(landed, [request.node.name]).fetchone() == (ROWS,), 60)


def test_a_rehearsal_refuses_by_line_and_leaves_nothing(
    stack: Stack, files: tuple[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file, mapping = files
    before = os.listdir(tmp_path)
    done = stack.run("import", "file", "--from", file, "--mapping", mapping, "--dry-run", check=False)
    assert done.returncode == 3
    assert f"{ROWS:,} would be created" in done.stdout
    assert f"line {ROWS + 2}: name: it is empty" in done.stdout
    assert f"line {ROWS + 3}: id '7': the key stands in line 9 already." in done.stdout
    assert "nothing was written" in done.stdout
    assert known(stack, request.node.name) == 0
    assert os.listdir(tmp_path) == before


def test_a_proposal_is_written_for_editing_and_overwrites_nothing(
    stack: Stack, files: tuple[str, str], tmp_path: Path
) -> None:
    file, mapping = files
    proposal = tmp_path / "proposal.toml"
    said = stack.run("import", "file", "--from", file, "--guess", "--to", str(proposal), "--source", "guessed")
    assert "accounts" in said.stderr
    assert 'source = "guessed"' in proposal.read_text()
    refused = stack.run("import", "file", "--from", file, "--guess", "--to", mapping, check=False)
    assert refused.returncode == 1
    assert "overwrites nothing" in refused.stderr


def test_a_mapping_that_is_wrong_is_a_sentence(stack: Stack, files: tuple[str, str], tmp_path: Path) -> None:
    file, mapping = files
    Path(mapping).write_text('target = "acounts"\nsource = "x"\nkey = "id"\n[fields]\nname = "name"\n')
    done = stack.run("import", "file", "--from", file, "--mapping", mapping, check=False)
    assert done.returncode == 1
    assert "There is no target 'acounts'" in done.stderr
    assert "Traceback" not in done.stderr
    bare = stack.run("import", "file", "--from", file, check=False)
    assert "--guess" in bare.stderr
