"""docker-compose.yml: valid, complete, and about commands, variables and ports that there are. No engine runs here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from headwater.cli import parser
from headwater.config import ELSEWHERE
from headwater.embedded.postgres import OLTP, WAREHOUSE
from headwater.state import PROJECT
from headwater.workers import WORKERS

ROOMS = ("headwater", "transactional", "policy", "cdc", "pipelines", "warehouse", "search", "bi", "web")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file with its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
    return found


@pytest.fixture(scope="module")
def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in compose["services"].items() if service["image"] == "headwater:latest"}


def check_schema(file: Path) -> subprocess.CompletedProcess[str]:
    """By the Compose specification's schema, which check-jsonschema brings with it."""
    program = str(Path(sys.executable).parent / "check-jsonschema")
    return subprocess.run(
        [program, "--builtin-schema", "vendor.compose-spec", str(file)], capture_output=True, text=True
    )


def test_it_is_valid_by_the_compose_schema(tmp_path: Path) -> None:
    done = check_schema(PROJECT / "docker-compose.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "docker-compose.yml"
    broken.write_text((PROJECT / "docker-compose.yml").read_text().replace("restart: unless", "restrat: unless"))
    assert check_schema(broken).returncode == 1, "the schema would have said so"


def test_every_command_is_one_that_the_program_understands(ours: dict[str, dict[str, Any]]) -> None:
    for name, service in ours.items():
        if "entrypoint" not in service:
            parser().parse_args(service["command"])  # exits with 2 for what it does not know
        if "healthcheck" in service and service["healthcheck"]["test"][1] == "headwater":
            checked = parser().parse_args(service["healthcheck"]["test"][2:])
            assert checked.process == service["command"][-1].replace("serve", "web"), name


def test_every_process_of_an_installation_has_a_container(ours: dict[str, dict[str, Any]]) -> None:
    commands = {tuple(service.get("command", ())) for service in ours.values()}
    assert commands >= {("work", worker) for worker in WORKERS}
    assert commands >= {("serve",), ("prepare", "databases"), ("prepare", "marts")}
    assert any(service.get("entrypoint", [""])[-1] == "headwater.dagster" for service in ours.values())


def test_everything_that_stays_has_a_health_check_and_is_started_again(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if service["restart"] == "no":
            assert name.startswith("prepare-")
            continue
        assert service["restart"] == "unless-stopped", name
        check = service["healthcheck"]
        assert check["test"][0] in ("CMD", "CMD-SHELL")
        assert {"interval", "timeout", "retries", "start_period"} <= check.keys(), name


def test_every_variable_is_one_that_the_code_reads(ours: dict[str, dict[str, Any]]) -> None:
    sources = "\n".join(path.read_text() for room in ROOMS for path in (PROJECT / room).rglob("*.py"))
    for name, service in ours.items():
        for variable in service["environment"]:
            read = variable.replace("_PASSWORD_FILE", "_URL")  # its name is made of the other's
            assert f'"{variable}"' in sources or f'"{read}"' in sources, f"{name}: nothing reads {variable}"


def test_addresses_name_services_and_the_ports_they_listen_on(compose: dict[str, Any]) -> None:
    environment = compose["services"]["web"]["environment"]
    for variable, port in ((ELSEWHERE[0], 5432), (ELSEWHERE[1], 5432), ("HEADWATER_SEARCH_URL", 7700)):
        host, _, given = environment[variable].rpartition("@")[2].removeprefix("http://").partition(":")
        assert host in compose["services"]
        assert int(given) == port
    assert "EXPOSE 8000" in (PROJECT / "Dockerfile").read_text()
    assert compose["services"]["web"]["ports"] == ["127.0.0.1:8000:8000"]


def test_nothing_is_published_to_the_network(compose: dict[str, Any]) -> None:
    """A proxy with TLS stands in front; databases and Dagster are nobody else's business."""
    for name, service in compose["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_ours_run_without_rights(ours: dict[str, dict[str, Any]]) -> None:
    for service in ours.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
        assert "user" not in service  # the image's own, which is not root


def test_dependencies_wait_for_the_right_thing(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            lasting = services[needed]["restart"] != "no"
            assert how["condition"] == ("service_healthy" if lasting else "service_completed_successfully"), name


def test_the_oltp_cluster_has_what_the_stream_needs(compose: dict[str, Any]) -> None:
    given = dict(option.removeprefix("--").split("=") for option in compose["services"]["oltp"]["command"][1:])
    assert given.items() <= OLTP.items(), "as the embedded cluster, which every test runs on"
    assert given["wal_level"] == "logical"
    warehouse = dict(o.removeprefix("--").split("=") for o in compose["services"]["warehouse"]["command"][1:])
    assert warehouse.items() <= WAREHOUSE.items()


def test_secrets_are_asked_for_and_none_has_a_default(compose: dict[str, Any]) -> None:
    text = (PROJECT / "docker-compose.yml").read_text()
    example = (PROJECT / "deploy" / "env.example").read_text()
    wanted = {secret["environment"] for secret in compose["secrets"].values()} | {"HEADWATER_SEARCH_KEY"}
    for name in wanted:
        assert re.search(rf"^{name}=$", example, re.MULTILINE), f"{name} is explained and left empty"
    assert not re.search(r"^ *[A-Z_]*(PASSWORD|KEY)[A-Z_]*: *(?!\$\{|/run/secrets/)\S", text, re.MULTILINE)
    assert re.search(r"\$\{HEADWATER_SEARCH_KEY:\?", text)


def test_alert_rules_and_scrape_configuration_parse() -> None:
    scrape = yaml.safe_load((PROJECT / "deploy" / "prometheus.yml").read_text())
    (job,) = scrape["scrape_configs"]
    assert job["job_name"] == "headwater"
    assert job["metrics_path"] == "/metrics"
    for file in scrape["rule_files"]:
        assert (PROJECT / "deploy" / file).exists()
