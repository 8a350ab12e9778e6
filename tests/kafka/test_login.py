"""Kafka that others run and that asks for a login: who comes in, who does not, and what they are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cdc import topics
from cdc.connectors import Topic
from cdc.kafka_errors import KafkaRefused, KafkaUnavailable
from cdc.sources.kafka_member import epoch
from headwater.config import ConfigError
from headwater.embedded.postgres import free_port
from headwater.installation import open_elsewhere
from headwater.kafka import elsewhere
from headwater.state import PROJECT, Home
from tests.kafka.locked import PASSWORD, USER, Locked, locked

WANTED = [Topic("hw.locked.changes", 2, 1)]


@pytest.fixture(scope="module")
def kafka() -> Iterator[Locked]:
    with locked() as started:
        yield started


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    return file


@pytest.fixture
def alice(monkeypatch: pytest.MonkeyPatch, password: Path) -> pytest.MonkeyPatch:
    """Her environment has the right login."""
    monkeypatch.setenv(elsewhere.USER, USER)
    monkeypatch.setenv(elsewhere.PASSWORD, str(password))
    return monkeypatch


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
@pytest.mark.parametrize("tls", [False, True])
def test_the_right_login_comes_in(kafka: Locked, alice: pytest.MonkeyPatch, mechanism: str, tls: bool) -> None:
    alice.setenv(elsewhere.MECHANISM, mechanism)
    if tls:
        alice.setenv(elsewhere.TLS, str(kafka.authority))
    at, settings = kafka.login_over_tls if tls else kafka.login, elsewhere.security()
    topics.ensure("locked", at, WANTED, settings)
    assert topics.missing("locked", at, WANTED, settings) == []
    assert topics.ends("locked", at, [("hw.locked.changes", 0)], settings) == {("hw.locked.changes", 0): 0}
    assert epoch("locked", at, ["hw.locked.changes"], settings).topics.keys() == {"hw.locked.changes"}


def test_a_wrong_password_is_told_as_one(kafka: Locked, alice: pytest.MonkeyPatch, password: Path) -> None:
    password.write_text("a wrong one")
    for ask in (
        lambda: topics.missing("locked", kafka.login, WANTED, elsewhere.security()),
        lambda: epoch("locked", kafka.login, ["hw.locked.changes"], elsewhere.security()),
    ):
        with pytest.raises(
            KafkaRefused, match=f"{kafka.login} refuses our login .*[Aa]uthentication failed"
        ) as refused:
            ask()
        assert "HEADWATER_KAFKA_USER" in str(refused.value)
        assert "a wrong one" not in str(refused.value)


def test_nobody_comes_in_without_a_login(kafka: Locked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "TIMEOUT", 3.0)
    with pytest.raises(KafkaUnavailable, match=r"or they ask for a login or for TLS \(HEADWATER_KAFKA_"):
        topics.missing("locked", kafka.login, WANTED, elsewhere.security())


def test_a_certificate_that_nobody_known_signed_is_refused(kafka: Locked, alice: pytest.MonkeyPatch) -> None:
    alice.setenv(elsewhere.TLS, "on")
    with pytest.raises(KafkaRefused, match="certificate verify failed"):
        topics.missing("locked", kafka.login_over_tls, WANTED, elsewhere.security())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (elsewhere.MECHANISM, "OAUTHBEARER", "must be one of SCRAM-SHA-512, SCRAM-SHA-256, PLAIN"),
        (elsewhere.PASSWORD, "/nowhere/password", "names no file that can be read"),
        (elsewhere.PASSWORD, "", "names no file that can be read"),
        (elsewhere.TLS, "/nowhere/authority.pem", "the file of the authority"),
    ],
)
def test_a_wrong_setting_is_named(alice: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    alice.setenv(name, value)
    with pytest.raises(ConfigError, match=words) as told:
        elsewhere.security()
    assert name in str(told.value)


def test_doctor_and_the_command_line_say_it_too(
    kafka: Locked, alice: pytest.MonkeyPatch, password: Path, tmp_path: Path
) -> None:
    environment = {
        "HEADWATER_HOME": str(tmp_path / "home"),
        "HEADWATER_OLTP_URL": f"postgresql://postgres:x@127.0.0.1:{free_port()}",
        "HEADWATER_WAREHOUSE_URL": f"postgresql://postgres:x@127.0.0.1:{free_port()}",
        "HEADWATER_KAFKA_BROKERS": kafka.login,
        "HEADWATER_KAFKA_CONNECT": f"http://127.0.0.1:{free_port()}",
    }
    for name, value in environment.items():
        alice.setenv(name, value)
    open_elsewhere(Home(tmp_path / "home"))
    password.write_text("a wrong one")
    findings = json.loads(_headwater(os.environ, "doctor", "--json").stdout)
    (found,) = [finding for finding in findings if finding["check"] == "brokers"]
    assert "refuses our login" in found["what"]
    assert "HEADWATER_KAFKA_USER" in found["what"]
    password.write_text(PASSWORD)
    findings = json.loads(_headwater(os.environ, "doctor", "--json").stdout)
    assert [finding for finding in findings if finding["check"] == "brokers"] == []
    (found,) = [finding for finding in findings if finding["check"] == "connectors"]
    assert "No Kafka Connect worker answers" in found["what"]


def test_an_installation_keeps_what_carries_its_stream(alice: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    for name in ("HEADWATER_OLTP_URL", "HEADWATER_WAREHOUSE_URL"):
        alice.setenv(name, "postgresql://postgres:x@127.0.0.1:1")
    assert open_elsewhere(home).profile == "embedded"
    alice.setenv("HEADWATER_KAFKA_BROKERS", "a:9092,b:9092")
    with pytest.raises(ConfigError, match="began without Kafka that others run"):
        open_elsewhere(home)
    other = Home(tmp_path / "other")
    assert open_elsewhere(other).profile == "kafka"
    alice.delenv("HEADWATER_KAFKA_BROKERS")
    with pytest.raises(ConfigError, match="streams over Kafka that others run"):
        open_elsewhere(other)
    alice.setenv("HEADWATER_KAFKA_BROKERS", "http://a:9092")
    with pytest.raises(ConfigError, match="must be host:port"):
        open_elsewhere(other)


def _headwater(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headwater", *arguments],
        cwd=PROJECT,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=240,
    )
