"""Prometheus metrics: who may scrape, what is said, and that it is true."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from typing import Any

import psycopg
import pytest
import yaml
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from headwater.state import PROJECT
from headwater.supervisor.hold import held
from tests.stack import Stack, eventually


def fetch(stack: Stack, token: str | None) -> tuple[int, str, str]:
    """(status, body, content type) of one scrape."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{stack.url}/metrics", headers=headers), timeout=30) as got:
            return got.status, got.read().decode(), got.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers["Content-Type"]


@pytest.fixture(scope="module")
def secret(stack: Stack) -> str:
    fetch(stack, None)  # the first question makes the token
    return (stack.home.root / "metrics.token").read_text().strip()


def families(stack: Stack, secret: str) -> dict[str, Metric]:
    status, body, _ = fetch(stack, secret)
    assert status == 200, body
    return {family.name: family for family in text_string_to_metric_families(body)}


def value(stack: Stack, secret: str, family: str, sample: str = "", **labels: str) -> float | None:
    for found in families(stack, secret)[family].samples:
        if found.name == (sample or family) and labels.items() <= found.labels.items():
            return float(found.value)
    return None


def test_nobody_scrapes_without_the_token(stack: Stack, secret: str) -> None:
    for given in (None, "", "wrong", secret[:-1], stack.token()):
        status, body, kind = fetch(stack, given)
        assert status == 401
        assert kind == "application/problem+json"
        assert "headwater_" not in body


def test_the_token_is_its_owners_alone(stack: Stack, secret: str) -> None:
    assert len(secret) > 30
    assert (stack.home.root / "metrics.token").stat().st_mode & 0o077 == 0


def test_names_help_and_types_follow_the_conventions(stack: Stack, secret: str) -> None:
    status, body, kind = fetch(stack, secret)
    assert status == 200
    assert kind.startswith("text/plain; version=")
    for family in text_string_to_metric_families(body):
        assert re.fullmatch(r"headwater_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        assert family.type in ("gauge", "counter", "histogram")
        assert not re.search(r"_(ms|milliseconds|kb|mb|minutes)\b", family.name), "base units only"
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)
        for sample in family.samples:
            assert not {"id", "account", "user", "actor", "email"} & sample.labels.keys(), (
                "no label grows with the data"
            )


def test_a_command_is_counted_once_with_its_status(stack: Stack, secret: str) -> None:
    def count(status: str) -> float:
        name = "headwater_command_duration_seconds"
        return value(stack, secret, name, f"{name}_count", command="contacts.create_account", status=status) or 0.0

    good, bad = count("201"), count("422")
    token = stack.token()
    assert stack.call("POST", "/api/contacts/accounts", {"name": "Counted Ltd"}, token=token)[0] == 201
    assert stack.call("POST", "/api/contacts/accounts", {"name": 7}, token=token)[0] == 422
    assert count("201") == good + 1
    assert count("422") == bad + 1


def test_buckets_are_cumulative_and_end_in_the_count(stack: Stack, secret: str) -> None:
    stack.call("POST", "/api/contacts/accounts", {"name": "Bucket Ltd"}, token=stack.token())
    name = "headwater_command_duration_seconds"
    series: dict[tuple[str, str], dict[str, Any]] = {}
    for sample in families(stack, secret)[name].samples:
        entry = series.setdefault((sample.labels["command"], sample.labels["status"]), {"buckets": []})
        if sample.name.endswith("_bucket"):
            entry["buckets"].append((float(sample.labels["le"]), sample.value))
        else:
            entry[sample.name.removeprefix(f"{name}_")] = sample.value
    assert series
    for entry in series.values():
        counts = [count for _, count in sorted(entry["buckets"])]
        assert counts == sorted(counts)
        assert counts[-1] == entry["count"]


def test_processes_slots_and_queues_are_all_there(stack: Stack, secret: str) -> None:
    found = families(stack, secret)
    report = stack.status()
    up = {sample.labels["process"]: sample.value for sample in found["headwater_process_up"].samples}
    assert up == {row["name"]: 1.0 for row in report["processes"]}
    slots = {sample.labels["slot"] for sample in found["headwater_slot_retained_bytes"].samples}
    assert slots == {"hw_landing", "hw_dispatch"}
    queues = {sample.labels["consumer"] for sample in found["headwater_queue_batches"].samples}
    assert queues == {row["sink"] for row in report["sinks"] if row["sink"] != "landing"}
    databases = {(s.labels["cluster"], s.labels["database"]) for s in found["headwater_postgres_bytes"].samples}
    assert {("oltp", "headwater"), ("oltp", "stream"), ("warehouse", "warehouse")} <= databases


def test_a_reader_that_stands_still_shows(stack: Stack, secret: str) -> None:
    def active() -> float | None:
        return value(stack, secret, "headwater_slot_active", slot="hw_landing")

    eventually(lambda: active() == 1.0, 30, "landing reads")
    with held(stack.home, "landing"):
        # The server notices a moment later that its reader has left.
        eventually(lambda: active() == 0.0, 30, "nobody reads")
        assert value(stack, secret, "headwater_process_up", process="landing") == 0.0
    eventually(lambda: active() == 1.0, 30, "landing reads again")


def test_parked_changes_show(stack: Stack, secret: str) -> None:
    park = (
        "insert into log.parked (batch_id, source, epoch, schema_name, table_name, key, xid, lsn, seq, op, after,"
        " committed_at, error) values (1, 'nowhere', 1, 'none', 'none', '{}', 1, '0/1', 1, 'u', '{}', now(), 'test')"
    )
    with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
        before = value(stack, secret, "headwater_parked", kind="changes") or 0.0
        warehouse.execute(park)
        try:
            assert value(stack, secret, "headwater_parked", kind="changes") == before + 1
        finally:
            warehouse.execute("delete from log.parked where source = 'nowhere'")


def test_every_alert_asks_for_metrics_that_there_are(stack: Stack, secret: str) -> None:
    found = families(stack, secret)
    known = {sample.name for family in found.values() for sample in family.samples} | set(found) | {"up"}
    known |= {"headwater_command_duration_seconds_bucket", "headwater_command_duration_seconds_count"}
    rules = yaml.safe_load((PROJECT / "deploy" / "alerts.yml").read_text())
    seen = set()
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["alert"] not in seen
        seen.add(rule["alert"])
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["command"].startswith("headwater ")
        named = set(re.findall(r"\bheadwater_[a-z_0-9]+", rule["expr"]))
        assert named or rule["alert"] == "HeadwaterNotScraped"
        # Counters without a sample yet (no process ever restarted) are known by their family's name.
        assert all(name in known or name.removesuffix("_total") in known for name in named), named - known
        assert rule["expr"].count("(") == rule["expr"].count(")")
