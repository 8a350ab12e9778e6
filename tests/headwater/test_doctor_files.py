"""Each check of what lies on disk finds what was broken, names it, and names the command that mends it."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater import fingerprint, installation
from headwater.doctor import Finding, examine
from headwater.state import Home, write_json


@pytest.fixture
def home() -> Iterator[Home]:
    root = Path(tempfile.mkdtemp(prefix="headwater-home-"))
    root.chmod(0o711)
    home = Home(root / "state")
    installation.open_or_create(home)
    for part in fingerprint.wanted():
        fingerprint.record(home, part)
    yield home
    shutil.rmtree(root, ignore_errors=True)


def finding(home: Home, check: str) -> Finding:
    found = examine(home)[check]
    assert len(found) == 1, found
    return found[0]


def test_a_stopped_installation_in_order_is_only_stopped(home: Home) -> None:
    results = {name: found for name, found in examine(home).items() if found}
    assert list(results) == ["supervisor"]
    assert results["supervisor"][0].command == "headwater up"


def test_nothing_set_up_yet(home: Home) -> None:
    home.erase()
    assert finding(home, "configuration").command == "headwater up"


def test_a_lost_configuration_beside_its_data(home: Home) -> None:
    (home.clusters / "oltp").mkdir()
    home.config.unlink()
    found = finding(home, "configuration")
    assert str(home.config) in found.what
    assert "--erase" in found.command


def test_a_configuration_cut_short(home: Home) -> None:
    home.config.write_text("{")
    assert str(home.config) in finding(home, "configuration").what


def test_passwords_that_others_may_read(home: Home) -> None:
    home.config.chmod(0o644)
    found = finding(home, "secrets")
    assert "644" in found.what
    assert found.command == f"chmod 600 {home.config}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")
def test_data_that_the_account_cannot_reach_any_more(home: Home) -> None:
    home.root.parent.chmod(0o700)
    found = finding(home, "account")
    assert str(home.clusters) in found.what
    assert "chmod" in found.command


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give data away")
def test_data_that_belong_to_somebody_else(home: Home) -> None:
    data = home.clusters / "oltp" / "data"
    data.mkdir(parents=True)
    os.chown(data, 1, 1)
    assert finding(home, "account").command.startswith("chown -R")


def test_a_disk_nearly_full(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100 * 1024**3, 99 * 1024**3, 1024**3))
    assert "1.0 GB" in finding(home, "disk").what


def test_databases_of_another_version(home: Home) -> None:
    write_json(home.prepared, {"databases": "of yesterday", "marts": "of yesterday"})
    assert finding(home, "preparation").command == "headwater down && headwater up"


def test_a_port_that_another_program_took(home: Home) -> None:
    settings, _ = installation.open_or_create(home)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", settings.warehouse.port))
        listener.listen()
        found = finding(home, "port_conflicts")
    assert f"{settings.warehouse.port} of warehouse is taken by process {os.getpid()}" in found.what


def test_the_reason_of_a_failed_start(home: Home) -> None:
    write_json(home.supervisor, {"state": "failed", "stage": "PostgreSQL (oltp) ended at start."})
    assert "PostgreSQL (oltp) ended at start." in finding(home, "supervisor").what
