"""Prometheus in the Kafka profile: what a scrape says is true, and alerts and dashboard ask for what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import pytest
import yaml
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from headwater.config import SERVICES
from headwater.state import PROJECT
from headwater.supervisor.hold import held
from tests.kafka.profile.whole import WAIT, make_account
from tests.stack import Stack, eventually

ALERTS = PROJECT / "deploy" / "alerts.kafka.yml"
DASHBOARD = PROJECT / "deploy" / "grafana" / "headwater-kafka.json"

pytestmark = pytest.mark.timeout(900)


def scrape(stack: Stack) -> dict[str, Metric]:
    """From the process that Prometheus asks, past the gateway."""
    url = f"http://127.0.0.1:{stack.config.web_port}/metrics"
    token = stack.home.root / "metrics.token"
    if not token.exists():
        with pytest.raises(urllib.error.HTTPError):  # the first question makes it
            urllib.request.urlopen(url, timeout=60)
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token.read_text().strip()}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return {family.name: family for family in text_string_to_metric_families(answer.read().decode())}


def total(scraped: dict[str, Metric], family: str, **labels: str) -> float | None:
    """The sum over samples with these labels; None where there is none."""
    samples = [sample.value for sample in scraped[family].samples if labels.items() <= sample.labels.items()]
    return sum(samples) if samples else None


def test_every_partition_that_somebody_reads_is_there(kafka: Stack, token: str) -> None:
    make_account(kafka, token, "Measured Ltd")
    found = scrape(kafka)
    assert [sample.value for sample in found["headwater_kafka_up"].samples] == [1.0]
    assert [sample.value for sample in found["headwater_connect_up"].samples] == [1.0]
    assert [sample.value for sample in found["headwater_kafka_partitions_lacking_copies"].samples] == [0.0]
    partitions: dict[str, set[tuple[str, str]]] = {}
    for sample in found["headwater_kafka_unread_records"].samples:
        labels = sample.labels
        partitions.setdefault(labels["consumer"], set()).add((labels["topic"], labels["partition"]))
    changes = {(f"hw.{source}.changes", str(number)) for source in SERVICES for number in range(4)}
    assert partitions["landing"] >= changes | {(f"hw.{source}.messages", "0") for source in SERVICES}
    assert {topic for topic, _ in partitions["dispatch"]} == {f"hw.{source}.outbox" for source in SERVICES}
    states = {
        s.labels["connector"]: s.value
        for s in found["headwater_connector_state"].samples
        if s.labels["state"] == "running"
    }
    assert states == {f"hw.{source}.{kind}": 1.0 for source in SERVICES for kind in ("changes", "outbox")}


def test_what_landing_has_yet_to_read_is_counted_and_grows_old(kafka: Stack, token: str) -> None:
    def landing(scraped: dict[str, Metric], what: str) -> float | None:
        return total(scraped, f"headwater_kafka_{what}", consumer="landing", source="contacts")

    def caught_up() -> dict[str, Metric] | None:
        scraped = scrape(kafka)
        return scraped if landing(scraped, "unread_records") == 0 else None

    before = landing(eventually(caught_up, WAIT, "landing to have read everything"), "read_records")
    with held(kafka.home, "landing"):
        make_account(kafka, token, "Waiting Ltd")
        eventually(lambda: (landing(scrape(kafka), "unread_records") or 0) > 0, WAIT, "records that wait")
        eventually(lambda: (landing(scrape(kafka), "oldest_unread_seconds") or 0) > 1, WAIT, "them to grow old")
    scraped = eventually(caught_up, WAIT, "landing to have caught up")
    assert landing(scraped, "oldest_unread_seconds") == 0
    after = landing(scraped, "read_records")
    assert before is not None
    assert after is not None
    assert after > before


def test_a_source_is_as_far_behind_as_its_slowest_partition(kafka: Stack, token: str) -> None:
    """However well the others do."""
    partitions = "log.kafka_partition where source = 'contacts' and topic = 'hw.contacts.changes'"

    def behind() -> float:
        return total(scrape(kafka), "headwater_landing_lag_seconds", source="contacts") or 0.0

    with psycopg.connect(kafka.config.warehouse_url()) as warehouse:
        warehouse.execute(f"select from {partitions} and partition = 3 for update".encode())
        since = warehouse.execute("select clock_timestamp()").fetchone()
        others = f"select max(updated_at) > %s::timestamptz + interval '5 seconds' from {partitions} and partition <> 3"

        def others_alone_go_on() -> bool:
            make_account(kafka, token, "In any partition")
            return warehouse.execute(others.encode(), since).fetchone() == (True,) and behind() > 5

        eventually(others_alone_go_on, WAIT, "the source to be behind while other partitions go on")
    eventually(lambda: behind() == 0, WAIT, "landing to have caught up")


def test_alerts_and_dashboard_ask_for_metrics_that_there_are(kafka: Stack) -> None:
    found = scrape(kafka)
    known = {sample.name for family in found.values() for sample in family.samples} | set(found)
    known |= {f"{name}_total" for name, family in found.items() if family.type == "counter"}
    for where, expression in expressions():
        named = set(re.findall(r"\bheadwater_[a-z_]+", expression))
        assert named, where
        assert named <= known, f"{where}: {named - known}"


def test_every_expression_is_one_that_prometheus_understands(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is absent: run tests/tools/install.sh"
    recorded = [{"record": f"query:{n}", "expr": expression} for n, (_, expression) in enumerate(expressions())]
    queries = tmp_path / "queries.yml"
    queries.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": recorded}]}))
    for file in (queries, ALERTS, PROJECT / "deploy" / "alerts.yml"):
        done = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_say_whom_to_wake_and_what_to_type() -> None:
    seen = set()
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["alert"] not in seen
            seen.add(rule["alert"])
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert rule["annotations"]["command"].startswith("headwater ")


def expressions() -> list[tuple[str, str]]:
    """Where it stands, and the query."""
    rules = yaml.safe_load(ALERTS.read_text())["groups"]
    found = [(rule["alert"], rule["expr"]) for group in rules for rule in group["rules"]]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return found + [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]
