"""The lake in a running system: history from the command line, SQL for analysts, everything rebuilt from it."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime

import psycopg
import pytest

from headwater.lake import attach_line, lake
from tests.stack import Stack, eventually

READ = """
import sys
from pathlib import Path
import duckdb
from warehouse.lake.place import load_extensions
session = duckdb.connect(config={"extension_directory": sys.argv[1]})
load_extensions(session)
session.execute(sys.argv[2])
print(session.execute(sys.argv[3]).fetchall())
"""


@pytest.fixture(scope="module")
def account(stack: Stack) -> dict[str, str]:
    """An account that was renamed once, in the lake."""
    token = stack.token()
    _, made, _ = stack.call("POST", "/api/contacts/accounts", {"name": "Old", "account_type": "Customer"}, token=token)
    path = f"/api/contacts/accounts/{made['account_uuid']}/update"
    status, _, _ = stack.call("POST", path, {"name": "New"}, token=token, headers={"Headwater-Reason": "merger"})
    assert status == 200
    _await_lake(stack, "raw_contacts.account where account_uuid = %s and name = 'New'", made["account_uuid"])
    return made


def _await_lake(stack: Stack, row: str, key: str) -> None:
    """Until the mirror holds the row, and the lake everything that has landed by then."""
    with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
        eventually(lambda: warehouse.execute(f"select 1 from {row}".encode(), [key]).fetchone(), 30, row)
        last = warehouse.execute("select max(batch_id) from log.batch").fetchone()
        waiting = "select from log.queue where consumer = 'lake' and batch_id <= %s"
        eventually(lambda: warehouse.execute(waiting.encode(), last).fetchone() is None, 60, "everything in the lake")


def test_history_tells_who_changed_what_and_why(stack: Stack, account: dict[str, str]) -> None:
    told = stack.run("history", f"accounts/{account['account_number']}").stdout
    assert "changed  admin by contacts.update_account (merger)" in told
    assert "name: Old → New" in told
    versions = json.loads(stack.run("history", f"accounts/{account['account_uuid']}", "--json").stdout)
    assert [version["state"]["name"] for version in versions] == ["Old", "New"]
    before = datetime.fromisoformat(versions[1]["committed_at"]).timestamp() - 0.000001
    at = datetime.fromtimestamp(before, UTC).isoformat()
    assert "Old" in stack.run("history", f"accounts/{account['account_uuid']}", "--at", at).stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["accounts/AC-999999"], "is no key of contacts.account"),
        (["unicorns/1"], "There is no table 'unicorns'"),
        ([f"accounts/{uuid.uuid4()}"], "nothing is known"),
        (["accounts/{account_uuid}", "--at", "1999-01-01"], "was not known yet"),
        (["accounts/{account_uuid}", "--at", "yesterday"], "is no time"),
    ],
)
def test_what_has_no_history_is_said_in_a_sentence(
    stack: Stack, account: dict[str, str], arguments: list[str], told: str
) -> None:
    refused = stack.run("history", *(argument.format(**account) for argument in arguments), check=False)
    assert refused.returncode in (1, 2)
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr


def test_analysts_open_the_lake_in_one_line_if_they_may_read_everything(stack: Stack, account: dict[str, str]) -> None:
    """Alice is an auditor; Charlie an analyst of one territory, who must not find a file."""
    token = stack.token()
    for name, role in (("alice_lake", "auditor"), ("charlie_lake", "analyst")):
        user = {"username": name, "display_name": name, "password": uuid.uuid4().hex, "roles": [role]}
        assert stack.call("POST", "/api/identity/users", user, token=token)[0] == 201
    passwords = {}
    for name in ("alice_lake", "charlie_lake"):
        url, *_ = stack.run("analyst", "add", name).stdout.splitlines()
        passwords[name] = url.split(":")[2].split("@")[0]

    def read(login: str, query: str) -> subprocess.CompletedProcess[str]:
        line = attach_line(stack.config, login, passwords[login])
        extensions = str(lake(stack.config).scratch / "extensions")
        return subprocess.run([sys.executable, "-c", READ, extensions, line, query], capture_output=True, text=True)

    query = f"select name from lake.contacts.account where account_uuid = '{account['account_uuid']}' order by _lsn"
    with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
        role = "select count(*) from raw_identity.role_assignment where role in ('auditor', 'analyst')"
        eventually(lambda: warehouse.execute(role.encode()).fetchone() == (2,))
    assert read("alice_lake", query).stdout.strip() == "[('Old',), ('New',)]"
    refused = read("charlie_lake", query)
    assert refused.returncode != 0
    with psycopg.connect(
        stack.config.warehouse_url()
        .replace("wh_owner", "charlie_lake")
        .replace(stack.config.passwords["wh_owner"], passwords["charlie_lake"]),
        autocommit=True,
    ) as charlie:
        assert charlie.execute("select count(*) from lake.ducklake_data_file").fetchone() == (0,)
        assert charlie.execute("select count(*) from lake.ducklake_file_column_stats").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            charlie.execute("delete from lake.ducklake_data_file")
    data = lake(stack.config).data
    assert data.stat().st_mode & 0o077 == 0, "files are for the account that Headwater runs under"


def test_a_lost_file_is_named_by_doctor_and_loaded_again(stack: Stack, account: dict[str, str]) -> None:
    whole = "The lake has every file, and every row that the change log has."
    assert whole in stack.run("repair", "lake").stdout
    before = stack.run("history", f"accounts/{account['account_number']}").stdout
    with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
        # Files that were merged stay on disk for a while, and nobody misses those.
        current = warehouse.execute("select path from lake.ducklake_data_file where end_snapshot is null").fetchall()
        names = {path.rpartition("/")[2] for (path,) in current}
        files = lake(stack.config).data.rglob("*.parquet")
        lost = next(path for path in files if path.name in names and "table_name=account/" in str(path))
        lost.unlink()
    told = stack.run("doctor", check=False)
    assert f"A file of the lake is gone: {lost}" in told.stdout
    assert "headwater repair lake" in told.stdout
    mended = stack.run("repair", "lake").stdout
    assert f"to be loaded again: {lost}" in mended
    assert "loaded again:" in mended
    assert whole in stack.run("repair", "lake").stdout
    assert stack.run("history", f"accounts/{account['account_number']}").stdout == before


def test_everything_is_rebuilt_from_the_lake_as_it_was(stack: Stack, account: dict[str, str]) -> None:
    with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
        warehouse.execute("update raw_contacts.account set name = 'bent'")
        warehouse.execute("delete from marts.dim_account")
        told = stack.run("rebuild", "--from", "lake").stdout
        assert "contacts.account:" in told
        again = stack.run("rebuild", "--from", "lake").stdout
        assert "mirrors:" in again
        assert again.count("equal to what stood before") == 2, again
        named = "select name from raw_contacts.account where account_uuid = %s"
        assert warehouse.execute(named.encode(), [account["account_uuid"]]).fetchone() == ("New",)
        named = "select account_name from marts.dim_account where account_uuid = %s"
        assert warehouse.execute(named.encode(), [account["account_uuid"]]).fetchone() == ("New",)


def test_an_erased_person_is_in_no_file_of_the_installation(stack: Stack, account: dict[str, str]) -> None:
    token = stack.token()
    person = {
        "first_name": "Annabella",
        "last_name": "Quisenberry",
        "email": "annabella@quisenberry.test",
        "account_uuid": account["account_uuid"],
        "custom": {"nickname": "Birdie of Bath"},
    }
    key = {"Idempotency-Key": str(uuid.uuid4())}
    _, made, _ = stack.call("POST", "/api/contacts/contacts", person, token=token, headers=key)
    path = f"/api/contacts/contacts/{made['id']}"
    assert stack.call("POST", f"{path}/update", {"phone": "+44 7700 900123"}, token=token)[0] == 200
    _await_lake(stack, "raw_contacts.contact where id = %s and phone = '+44 7700 900123'", made["id"])
    refused = stack.run("erase", f"contacts/{made['id']}", check=False)
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    done = stack.run("erase", f"contacts/{made['id']}", "--yes", "--reason", "asked for it", check=False)
    assert "history: 3 versions emptied" in done.stdout
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    # The embedded index keeps what was deleted from it, so it is built anew before the proof is given.
    assert "contact: " in done.stdout, told
    assert "none holds one" in done.stdout, told
    assert stack.call("GET", path, token=token)[1]["last_name"] == "(erased)"
    versions = json.loads(stack.run("history", f"contacts/{made['id']}", "--json").stdout)
    assert [version["command"] for version in versions] == [
        "contacts.create_contact",
        "contacts.update_contact",
        "contacts.erase_contact",
    ]
    assert versions[-1]["reason"] == "asked for it"
    assert "Quisenberry" not in json.dumps(versions)
    assert "names no person" in stack.run("erase", "accounts/1", "--yes", check=False).stderr
    assert stack.run("erase", f"contacts/{uuid.uuid4()}", "--yes", check=False).returncode == 1
