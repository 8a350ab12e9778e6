"""deploy/docker-compose.kafka.yml: what test_compose.py asks, and three brokers that agree with what the code makes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from cdc.connectors import Cluster, Source, changes, outbox
from headwater.cli import parser
from headwater.config import SERVICES
from headwater.kafka import connect, elsewhere
from headwater.state import PROJECT
from headwater.variables import VARIABLES
from headwater.workers import KAFKA_WORKERS, WORKERS
from tests.deploy.test_compose import (  # these run here again, on this file's services
    check_schema,
    test_dependencies_wait_for_the_right_thing,  # noqa: F401
    test_every_command_is_one_that_the_program_understands,  # noqa: F401
    test_everything_that_stays_has_a_health_check_and_is_started_again,  # noqa: F401
    test_nothing_is_published_to_the_network,  # noqa: F401
    test_ours_run_without_rights,  # noqa: F401
    test_the_oltp_cluster_has_what_the_stream_needs,  # noqa: F401
)

FILE = PROJECT / "deploy" / "docker-compose.kafka.yml"
BROKERS = ("broker-1", "broker-2", "broker-3")
CONNECT = ("connect-1", "connect-2")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file with its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


@pytest.fixture(scope="module")
def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in compose["services"].items() if service["image"] == "headwater:latest"}


def test_it_is_valid_by_the_compose_schema() -> None:
    done = check_schema(FILE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_process_of_the_profile_has_a_container(ours: dict[str, dict[str, Any]]) -> None:
    commands = {tuple(service.get("command", ())) for service in ours.values()}
    assert commands >= {("work", worker) for worker in (WORKERS | KAFKA_WORKERS).keys() - {"jobs"}}
    assert commands >= {("work", f"jobs-{service}") for service in SERVICES}
    assert commands >= {("serve", service) for service in ("web", *SERVICES)}
    assert commands >= {("work", "landing-2"), ("prepare", "databases"), ("prepare", "marts")}
    assert any(service.get("entrypoint", [""])[-1] == "headwater.dagster" for service in ours.values())


def test_every_variable_is_known(ours: dict[str, dict[str, Any]]) -> None:
    names = {variable.name for variable in VARIABLES}
    prefixes = tuple(name for name in names if name.endswith("_"))
    for name, service in ours.items():
        for variable in service["environment"]:
            assert variable in names or variable.startswith(prefixes), f"{name}: nothing reads {variable}"


def test_services_are_found_where_they_are(compose: dict[str, Any]) -> None:
    services, environment = compose["services"], compose["services"]["web"]["environment"]
    for service in SERVICES:
        assert environment[f"HEADWATER_URL_{service.upper()}"] == f"http://{service}:8000"
        host, _, database = environment[f"HEADWATER_DB_{service.upper()}"].removeprefix("postgresql://").partition("/")
        assert (host.removesuffix(":5432") in services, database) == (True, service)
        assert services[service]["command"] == ["serve", service]
    assert "oltp-finance" in environment["HEADWATER_DB_FINANCE"], "Finance has a cluster of its own"
    assert environment["HEADWATER_KAFKA_BROKERS"].split(",") == [f"{name}:9092" for name in BROKERS]
    assert environment["HEADWATER_KAFKA_CONNECT"].split(",") == [f"http://{name}:8083" for name in CONNECT]
    gateway = parser().parse_args(compose["services"]["prepare-gateway"]["command"])
    assert (gateway.web, gateway.listen) == ("http://web:8000", "8080")


def test_brokers_are_one_cluster_of_three_copies(compose: dict[str, Any]) -> None:
    found = [compose["services"][name]["environment"] for name in BROKERS]
    assert [settings["KAFKA_NODE_ID"] for settings in found] == [1, 2, 3]
    for name, settings in zip(BROKERS, found, strict=True):
        assert settings["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{name}:9092"
        voters = settings["KAFKA_CONTROLLER_QUORUM_VOTERS"]
        assert voters == ",".join(f"{number}@broker-{number}:9093" for number in (1, 2, 3))
        for topic in ("OFFSETS_TOPIC", "TRANSACTION_STATE_LOG", "SHARE_COORDINATOR_STATE_TOPIC"):
            assert settings[f"KAFKA_{topic}_REPLICATION_FACTOR"] == 3
        assert settings["KAFKA_MIN_INSYNC_REPLICAS"] == 2
        assert settings["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"] == "false"
        assert settings["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    volumes = [compose["services"][name]["volumes"] for name in BROKERS]
    assert len({str(volume) for volume in volumes}) == 3


def test_topics_are_made_with_as_many_copies_as_the_file_says(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "HEADWATER_KAFKA_REPLICATION", str(compose["services"]["connectors"]["environment"][elsewhere.REPLICATION])
    )
    source = Source("finance", "h", 1, "d", "u", "p", "s", "p", "s", "p", ("finance",))
    cluster = Cluster(replication=elsewhere.replication())
    topics = [topic for make in (changes, outbox) for topic in make(source, cluster).topics]
    assert {topic.replication for topic in topics} == {3}
    assert {topic.config["min.insync.replicas"] for topic in topics} == {"2"}


def test_connect_is_set_as_the_workers_that_tests_run_on(compose: dict[str, Any]) -> None:
    """All but copies, which there are one of in tests, and how plugins are found, which is the image's."""
    named = {
        "GROUP_ID": "group.id",
        "KEY_CONVERTER": "key.converter",
        "VALUE_CONVERTER": "value.converter",
        "CONFIG_STORAGE_TOPIC": "config.storage.topic",
        "OFFSET_STORAGE_TOPIC": "offset.storage.topic",
        "STATUS_STORAGE_TOPIC": "status.storage.topic",
        "OFFSET_FLUSH_INTERVAL_MS": "offset.flush.interval.ms",
    }
    for name in CONNECT:
        environment = compose["services"][name]["environment"]
        given = {
            named.get(key, key.removeprefix("CONNECT_").lower().replace("_", ".")): str(value)
            for key, value in environment.items()
        }
        assert environment["ADVERTISED_HOST_NAME"] == name
        for setting, value in connect.SETTINGS.items():
            if setting == "plugin.discovery":
                continue
            assert given[setting] == ("3" if setting.endswith("replication.factor") else str(value)), setting
        secrets = given["config.providers.secrets.param.allowed.paths"]
        assert secrets == compose["services"][name]["volumes"][0]["target"]
        assert secrets == f"{compose['services']['connectors']['environment']['HEADWATER_HOME']}/kafka/secrets"


def test_images_are_pinned_and_everything_has_a_limit(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert re.search(r":v?\d+(\.\d+)*", service["image"]) or service["image"] == "headwater:latest", name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name


def test_secrets_are_asked_for_and_none_has_a_default(compose: dict[str, Any]) -> None:
    text = FILE.read_text()
    example = (PROJECT / "deploy" / "env.example").read_text()
    asked = set(re.findall(r"\$\{(\w+):\?", text)) | {secret["environment"] for secret in compose["secrets"].values()}
    assert asked >= {"HEADWATER_SEARCH_KEY", "HEADWATER_KAFKA_CLUSTER_ID", "HEADWATER_OLTP_PASSWORD"}
    for name in asked:
        assert re.search(rf"^{name}=$", example, re.MULTILINE), f"{name} is explained and left empty"
    assert not re.search(r"^ *[A-Z_]*(PASSWORD|KEY)[A-Z_]*: *(?!\$\{|/run/secrets/|org\.)\S", text, re.MULTILINE)
