"""Dagster in a running installation: what it shows, and that nothing else suffers when it is killed."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from headwater import proc
from headwater.dagster.processes import PARTS
from tests.dagster import Dagster
from tests.pipelines.defs.servers import Hook, web_hook
from tests.stack import Stack, eventually

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    with web_hook() as made:
        yield made


@pytest.fixture(scope="module")
def system(hook: Hook) -> Iterator[Stack]:
    made = Stack(environment={"HEADWATER_ALERT_WEBHOOK": f"http://127.0.0.1:{hook.port}/alerts"})
    try:
        made.up(dagster=True)
        yield made
    finally:
        made.close()


@pytest.fixture
def dagster(system: Stack) -> Dagster:
    made = Dagster(system)
    made.await_well()
    return made


def superuser(system: Stack, database: str = "warehouse") -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(system.config.url(system.config.warehouse, database, "postgres"), autocommit=True)


def builds(server: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether a build holds the warehouse (the lock of ``warehouse.compile``)."""
    found = server.execute(
        "select count(*) from pg_locks join pg_database on pg_database.oid = database where locktype = 'advisory'"
        " and granted and datname = 'warehouse' and (classid::bigint << 32) + objid::bigint = %s",
        [0x68775F646274],
    ).fetchone()
    return found != (0,)


def assert_the_stream_flows(system: Stack, name: str) -> None:
    """An account that is written now is in its mart within seconds."""
    token = system.token()
    status, answer, _ = system.call(
        "POST", "/api/contacts/accounts", {"name": name, "account_type": "Customer"}, token=token
    )
    assert status == 201, answer
    with psycopg.connect(system.config.warehouse_url(), autocommit=True) as warehouse:
        eventually(
            lambda: warehouse.execute("select 1 from marts.dim_account where account_name = %s", [name]).fetchone(),
            timeout=30,
            what=f"{name} in dim_account",
        )


def test_it_shows_lineage_from_the_source_and_sends_nothing_away(system: Stack, dagster: Dagster) -> None:
    report = system.status()
    assert report["links"]["dagster"] == dagster.url
    nodes = dagster.ask("{assetNodes {assetKey {path} groupName dependencyKeys {path}}}")["assetNodes"]
    reads = {tuple(n["assetKey"]["path"]): {tuple(d["path"]) for d in n["dependencyKeys"]} for n in nodes}
    assert ("contacts", "account") in reads["raw_contacts", "account"]
    assert ("marts", "dim_account") in reads["reporting", "c360_account"]
    with urllib.request.urlopen(dagster.url, timeout=30) as page:
        assert '"telemetryEnabled": false' in page.read().decode()
    settings = json.loads((system.home.dagster / "dagster.yaml").read_text())
    assert settings["telemetry"] == settings["nux"] == {"enabled": False}
    assert not list(system.home.dagster.glob("**/*telemetry*/*.log"))


def test_what_holds_its_password_is_closed_to_others(system: Stack, dagster: Dagster) -> None:
    assert system.home.dagster.stat().st_mode & 0o077 == 0
    assert (system.home.dagster / "dagster.yaml").stat().st_mode & 0o077 == 0


def test_one_parent_s_memory_is_shared_by_its_parts(system: Stack, dagster: Dagster) -> None:
    """Three processes that each imported everything would take twice that. A run, which a schedule may have started, is
    a process more while it lasts."""

    def resting() -> dict[str, Any] | None:
        idle = dagster.is_idle()
        (row,) = (row for row in system.status()["processes"] if row["name"] == "dagster")
        return row if idle and row["processes"] == 4 else None

    row = eventually(resting, 240, "a parent and three parts, and no run")
    assert row["memory_bytes"] < 400 * 1024**2


@pytest.fixture
def operator(system: Stack, chromium: Browser) -> Iterator[Page]:
    """An administrator's browser in front of the Stream page."""
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{system.url}/login?next=/stream")
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(system.home.login.read_text().split()[-1])
        page.get_by_role("button", name="Log in").click()
        page.goto(f"{system.url}/stream")
        yield page


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("Pipelines in Dagster", ["Materialize all"]),
        ("landing", ["change_log"]),
        ("refresh", ["model_state"]),
        ("lake", ["changes"]),
        ("search", ["account"]),
    ],
)
def test_the_stream_page_leads_to_the_right_page_of_it(
    dagster: Dagster, operator: Page, link: str, shown: list[str]
) -> None:
    operator.get_by_role("link", name=link, exact=True).click()
    operator.wait_for_url(f"{dagster.url}/**")
    for words in shown:
        expect(operator.get_by_text(words).first).to_be_visible(timeout=60_000)
    assert operator.get_by_text("could not be found").count() == 0


@pytest.mark.parametrize("part", PARTS)
def test_a_killed_part_comes_back_and_the_stream_flows_meanwhile(system: Stack, dagster: Dagster, part: str) -> None:
    before = dagster.part(part)
    others = {name: dagster.part(name) for name in PARTS if name != part}
    dagster.kill(before)
    assert_the_stream_flows(system, f"Written without {part}")
    eventually(lambda: dagster.part(part) not in (None, before), 60, f"{part} is started again")
    dagster.await_well()
    assert {name: dagster.part(name) for name in others} == others
    assert dagster.await_end(dagster.launch("retention")) == "SUCCESS"


def test_killed_as_a_whole_it_comes_back_and_leaves_no_process_behind(system: Stack, dagster: Dagster) -> None:
    before = [dagster.part(name) for name in PARTS]
    system.kill("dagster")
    assert_the_stream_flows(system, "Written without Dagster")
    eventually(lambda: not any(pid and proc.alive(pid) for pid in before), 30, "its parts ended with it")
    dagster.await_well()


def test_without_its_database_it_waits_and_goes_on_when_it_is_back(system: Stack, dagster: Dagster) -> None:
    with superuser(system) as server:
        server.execute("alter database dagster allow_connections false")
        try:
            server.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'dagster'")
            assert_the_stream_flows(system, "Written without the storage")
        finally:
            server.execute("alter database dagster allow_connections true")
    dagster.await_well()
    assert dagster.await_end(dagster.launch("retention")) == "SUCCESS"


@pytest.mark.parametrize("victim", ["run", "code server"])
def test_a_run_that_is_killed_fails_leaves_no_lease_and_can_be_repeated(
    system: Stack, dagster: Dagster, victim: str
) -> None:
    run = dagster.launch("__ASSET_JOB", [["marts", "dim_date"], ["marts", "dim_product"]])
    with superuser(system) as server:
        eventually(lambda: builds(server), 240, "the run builds")
        worker = dagster.process(run)
        dagster.kill(worker if victim == "run" else dagster.part("code"))
        assert dagster.await_end(run) == "FAILURE"
        eventually(lambda: not proc.alive(worker), 60, "the run's process ended")
        eventually(lambda: not builds(server), 60, "no build holds the warehouse")
    dagster.await_well()
    again = dagster.launch("__ASSET_JOB", [["marts", "dim_date"], ["marts", "dim_product"]])
    assert dagster.await_end(again) == "SUCCESS"
    assert_the_stream_flows(system, f"Written after a killed {victim}")


def test_a_table_is_read_again_by_its_partition(system: Stack, dagster: Dagster) -> None:
    assert_the_stream_flows(system, "Lost from the mirror")
    with superuser(system) as server:
        server.execute("delete from raw_contacts.account where name = 'Lost from the mirror'")
        run = dagster.launch("__ASSET_JOB", [["log", "snapshot"]], "contacts.account")
        assert dagster.await_end(run) == "SUCCESS"
        assert server.execute(
            "select count(*) from raw_contacts.account where name = 'Lost from the mirror'"
        ).fetchone() == (1,)


def test_a_failing_test_is_a_failed_run_a_failed_check_an_alert_and_nothing_more(
    system: Stack, dagster: Dagster, hook: Hook
) -> None:
    assert_the_stream_flows(system, "Before the failing test")
    # The first look of the alerts takes what failed before for past.
    eventually(lambda: _looked(dagster), 90, "the alerts have looked once")
    with superuser(system) as server:
        before = server.execute("select count(*) from marts.dim_account").fetchone()
        server.execute(
            "insert into raw_contacts.account_contact (id, account_uuid, contact_id, role, _lsn, _seq, _deleted,"
            " _committed_at) values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'ghost', '0/0', 0, false,"
            " now())"
        )
        try:
            run = dagster.launch("__ASSET_JOB", [["staging", "stg_contacts__account_contact"]])
            assert dagster.await_end(run) == "FAILURE", "a test of severity error failed"
            eventually(lambda: [c for _, c in hook.posts if c["kind"] == "check"], 120, "an alert")
            assert server.execute("select count(*) from marts.dim_account").fetchone() == before
        finally:
            server.execute("delete from raw_contacts.account_contact where role = 'ghost'")
    alert = next(content for _, content in hook.posts if content["kind"] == "check")
    assert alert["run_id"] == run
    assert {
        "asset": "staging/stg_contacts__account_contact",
        "check": "relationships_account_uuid_in_stg_contacts__account",
    } in alert["checks"]
    assert dagster.url in alert["text"]
    count = len(hook.posts)
    assert len({content["id"] for _, content in hook.posts}) == count, "no alert came twice"


def _looked(dagster: Dagster) -> bool:
    found = dagster.ask(
        '{sensorOrError(sensorSelector: {repositoryName: "__repository__", repositoryLocationName: "headwater",'
        ' sensorName: "alerts"}) {... on Sensor {sensorState {ticks(limit: 1) {status cursor}}}}}'
    )
    ticks = found["sensorOrError"]["sensorState"]["ticks"]
    return bool(ticks and ticks[0]["cursor"])


def test_left_out_it_takes_nothing(system: Stack) -> None:
    system.down()
    assert not proc.marked(system.home.root)
    system.up()
    assert system.pid("dagster") is None
    assert system.status()["links"]["dagster"] is None
