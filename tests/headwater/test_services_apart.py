"""The shape of a new installation in the Kafka profile, before anything of it runs; and what refuses to be one."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headwater import config, installation, ports
from headwater.config import SERVICES, Config, ConfigError
from headwater.gateway import process as gateway
from headwater.kafka.profile import landing_workers
from headwater.state import Home
from headwater.supervisor.kinds import kind
from headwater.supervisor.layout import STOP_ORDER, servers, workers


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    root = Path(tempfile.mkdtemp(prefix="headwater-home-"))
    root.chmod(0o711)
    monkeypatch.setenv("HEADWATER_PROFILE", "kafka")
    yield Home(root / "state")
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def made(home: Home) -> Config:
    return installation.open_or_create(home)[0]


def test_each_service_gets_a_database_and_a_port_and_finance_a_cluster(home: Home, made: Config) -> None:
    assert made.source_databases() == {service: [service] for service in SERVICES}
    url = {service: made.service_url(service) for service in SERVICES}
    assert url["finance"].endswith(f":{made.clusters['oltp-finance'].port}/finance")
    assert url["orders"].endswith(f":{made.oltp.port}/orders")
    assert {name: f"http://127.0.0.1:{port}" for name, port in made.service_ports.items()} == made.service_addresses()
    assert made.public_port == made.gateway_port not in (made.web_port, *made.service_ports.values())
    assert len(set(ports.of(made).values())) == 4 + 4 + 1 + len(SERVICES) + 1
    assert [cluster.name for cluster in installation.clusters(home, made)] == ["oltp", "warehouse", "oltp-finance"]
    assert installation.open_or_create(home) == (made, [])


def test_a_taken_port_of_a_service_or_a_cluster_is_chosen_anew(home: Home, made: Config) -> None:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", made.service_ports["orders"]))
        two.bind(("127.0.0.1", made.clusters["oltp-finance"].port))
        one.listen()
        two.listen()
        moved, said = installation.open_or_create(home)
    assert sorted(sentence.split(" of ")[1].split(" is ")[0] for sentence in said) == ["oltp-finance", "orders"]
    assert moved.service_ports["orders"] != made.service_ports["orders"]
    assert moved.clusters["oltp-finance"].superuser_password == made.clusters["oltp-finance"].superuser_password
    assert moved.gateway_port == made.gateway_port
    assert config.read(home.root) == moved


def test_without_nginx_nothing_is_made(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(ConfigError, match=r"nginx is not installed.*apt-get install nginx"):
        installation.open_or_create(home)
    assert not home.config.exists()


def test_an_installation_that_is_not_apart_stays_so(home: Home, made: Config) -> None:
    """As one is that came from the embedded profile, or was made before services stood apart."""
    replace(made, clusters={}, databases={}, service_ports={}, gateway_port=0).save()
    found, said = installation.open_or_create(home)
    assert (found.source_databases(), said) == ({"headwater": list(SERVICES)}, [])
    assert found.public_port == found.web_port
    assert [spec.name for spec in servers(home, found)] == ["web"]
    assert [spec.name for spec in workers(home, found) if kind(spec.name) == "jobs"] == ["jobs"]


def test_every_process_has_its_place_in_the_order_of_stopping(home: Home, made: Config) -> None:
    ordered = [name for kinds in STOP_ORDER for name in kinds]
    names = [spec.name for spec in (*servers(home, made), *workers(home, made))]
    assert {"gateway", "web", "finance", "jobs-finance", "landing", "landing-2"} <= set(names)
    assert {kind(name) for name in (*names, *made.clusters)} <= set(ordered)
    assert ordered[0] == "gateway"


def test_landing_has_as_many_workers_as_are_asked_for(made: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    assert landing_workers(made) == ["landing", "landing-2"]
    monkeypatch.setenv("HEADWATER_LANDING_WORKERS", "3")
    assert landing_workers(made) == ["landing", "landing-2", "landing-3"]
    assert landing_workers(replace(made, kafka_ports={})) == ["landing"]
    monkeypatch.setenv("HEADWATER_LANDING_WORKERS", "none")
    with pytest.raises(ConfigError, match="from 1 to 64"):
        landing_workers(made)


def test_nginx_tries_its_configuration_before_it_counts(
    home: Home, made: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = gateway.prepare(home, made)
    good = written.read_text()
    assert f"listen 127.0.0.1:{made.gateway_port};" in good
    assert f"server 127.0.0.1:{made.web_port} max_fails=1 fail_timeout=10s backup;" in good
    assert f"server 127.0.0.1:{made.service_ports['identity']} max_fails=1 fail_timeout=10s;" in good
    monkeypatch.setattr(gateway, "configuration", lambda _: "events {} nonsense;")
    with pytest.raises(gateway.GatewayError, match="nonsense"):
        gateway.prepare(home, made)
    assert written.read_text() == good
    monkeypatch.setenv("HEADWATER_GATEWAY_RATE", "many")
    with pytest.raises(ConfigError, match="HEADWATER_GATEWAY_RATE must be a whole number"):
        gateway.prepare(home, made)
