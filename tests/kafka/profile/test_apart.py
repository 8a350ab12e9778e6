"""Services apart, behind nginx: who may, what is where, and that one of them being away is its own affair."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing

import httpx
import psycopg
import pytest

from headwater.config import SERVICES
from headwater.supervisor.hold import held
from tests.kafka.profile.whole import WAIT, make_account, warehouse
from tests.kafka.profile.work import ACCOUNTS, PROFILES, Work
from tests.stack import Stack, eventually

USERS = "/api/identity/users"
OF_FINANCE = ("finance", "jobs-finance", "oltp-finance")

pytestmark = pytest.mark.timeout(1500)


def test_each_service_has_a_database_of_its_own_and_finance_a_cluster(kafka: Stack) -> None:
    places = {}
    for service in SERVICES:
        with psycopg.connect(kafka.config.service_url(service)) as own:
            row = own.execute("select current_database(), current_setting('port')").fetchone()
            assert row is not None
            places[service] = row
            others = own.execute(
                "select nspname from pg_namespace where nspname = any(%s)", [[s for s in SERVICES if s != service]]
            ).fetchall()
            assert others == [], f"{service} lives with others"
    assert {service: name for service, (name, _) in places.items()} == {service: service for service in SERVICES}
    alone = places["finance"][1]
    assert {service for service, (_, port) in places.items() if port == alone} == {"finance"}


def test_a_service_may_enter_no_others_database(kafka: Stack) -> None:
    url = kafka.config.service_url("contacts", role="hw_orders")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url)


def test_a_process_answers_for_its_service_alone(kafka: Stack, token: str) -> None:
    for service, base in kafka.config.service_addresses().items():
        assert httpx.get(f"{base}/healthz", timeout=60).json()["services"] == [service]
    other = httpx.get(
        kafka.config.service_addresses()["orders"] + ACCOUNTS, headers={"Authorization": f"Bearer {token}"}, timeout=60
    )
    assert other.status_code == 404

    def described() -> set[str]:
        """A service that was silent is missing, and is asked again the next time."""
        paths = httpx.get(f"{kafka.url}/api/openapi.json", timeout=60).json()["paths"]
        return {path.split("/")[2] for path in paths}

    eventually(lambda: described() >= {*SERVICES, "360", "search"}, WAIT, "everybody's paths in the document")


def test_who_may_is_decided_by_the_service_and_strangers_do_not_get_there(kafka: Stack, token: str) -> None:
    """Alice administers, Bob has no role, Charlie sells elsewhere; somebody has no token that is one."""
    account = make_account(kafka, token, "Scoped apart")
    seen = {}
    for name, roles in {"alice": ["admin"], "bob": [], "charlie": ["sales_rep"]}.items():
        user = {"username": f"{name}-apart", "display_name": name, "roles": roles}
        assert kafka.call("POST", USERS, user, token=token)[0] == 201
        theirs = kafka.token(f"{name}-apart")
        seen[name] = kafka.call("GET", f"{ACCOUNTS}/{account}", token=theirs)[0]
        if name == "charlie":
            status, problem, _ = kafka.call("POST", "/api/identity/notes", note("replay"), token=theirs)
            assert (status, "stream.replay" in problem["detail"]) == (403, True)
            assert kafka.call("POST", "/api/identity/notes", note("refused"), token=theirs)[0] == 200
        status = kafka.call("POST", "/api/identity/notes", note("read", "contacts.contact.read"), token=theirs)[0]
        assert status == (403 if name == "bob" else 200), name
    assert seen == {"alice": 200, "bob": 403, "charlie": 404}
    status, problem, _ = kafka.call("GET", f"{ACCOUNTS}/{account}", token="nonsense")
    assert (status, "The gateway found no live token" in problem["detail"]) == (401, True)
    direct = httpx.get(
        f"{kafka.config.service_addresses()['contacts']}{ACCOUNTS}", headers={"Authorization": "Bearer x"}, timeout=60
    )
    assert direct.status_code == 401, "a service believes no gateway"
    noted = "select count(*) from identity.access_log where actor_name = 'charlie-apart' and detail = 'seen in a test'"
    with psycopg.connect(kafka.config.service_url("identity", role="postgres")) as identity:
        assert identity.execute(noted).fetchone() == (1,)


def note(kind: str, action: str = "stream.replay") -> dict[str, str]:
    said = "seen in a test" if kind == "refused" else "not looked for"
    return {"kind": kind, "action": action, "resource": "stream.change", "resource_id": "x", "detail": said}


def test_pages_are_read_by_whoever_logs_in(kafka: Stack, token: str) -> None:
    account = make_account(kafka, token, "Seen on a page")
    user = {"username": "dana-apart", "display_name": "Dana", "roles": ["admin"], "password": "a long passphrase"}
    assert kafka.call("POST", USERS, user, token=token)[0] == 201
    with httpx.Client(base_url=kafka.url, follow_redirects=True, timeout=30, trust_env=False) as browser:
        form = browser.get("/login").text
        hidden = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert hidden is not None
        fields = {"login_username": "dana-apart", "login_password": user["password"], "csrfmiddlewaretoken": hidden[1]}
        assert browser.post("/login", data=fields).status_code == 200
        page = browser.get(f"/accounts/{account}")
        assert (page.status_code, "Seen on a page" in page.text) == (200, True)
        taken = browser.get("/accounts/export.csv?q=Seen+on+a+page")
        assert (taken.status_code, "Seen on a page" in taken.text) == (200, True)
    noted = "select action, resource, detail from identity.access_log where kind = 'export' and actor_name = %s"
    with psycopg.connect(kafka.config.service_url("identity", role="postgres")) as identity:
        assert identity.execute(noted, ["dana-apart"]).fetchall() == [
            ("contacts.account.read", "contacts.account", "1 rows of /accounts?q=Seen+on+a+page")
        ], "by a process that hosts no service"


def test_nginx_writes_its_configuration_anew_and_takes_it_without_a_pause(kafka: Stack, token: str) -> None:
    before = kafka.pid("gateway")
    said = kafka.run("gateway", "--reload").stdout
    assert f"process {before}" in said
    assert kafka.pid("gateway") == before
    assert kafka.call("GET", ACCOUNTS, token=token)[0] == 200
    log = kafka.home.log("gateway").read_text()
    assert '"path":"/api/contacts/accounts"' in log
    assert token not in log


@pytest.fixture
def work(kafka: Stack) -> Iterator[Work]:
    with closing(Work(kafka)) as made:
        yield made


def test_finance_away_is_nobody_elses_trouble_and_it_catches_up_in_order(kafka: Stack, token: str, work: Work) -> None:
    known = work.round("while all is well")
    work.await_(lambda: work.status(f"{PROFILES}/{known}") == 200, "Finance's copy")
    with held(kafka.home, *OF_FINANCE):
        assert not any(kafka.pid(name) for name in OF_FINANCE)
        accounts = [work.round(f"away {number}") for number in range(10)]
        for number in range(1, 5):
            for account in (known, *accounts[:3]):
                work.rename(account, f"renamed {number}")
        status, problem, headers = kafka.call("GET", f"{PROFILES}/{known}", token=token)
        assert (status, problem["service"], headers["retry-after"]) == (503, "finance", "1")
        fresh = "renamed 4"
        work.await_(lambda: accounts[2] in work.found(fresh), "search to know what was written meanwhile")
        # Ten accounts and sixteen renamings.
        work.await_(lambda: _finance_alone_lags(kafka, 26), "Finance's lag alone")
        findings = json.loads(kafka.run("doctor", "--json", check=False).stdout)
        assert any("oltp-finance" in finding["what"] for finding in findings)
    for account in (known, *accounts):
        name = "renamed 4" if account in (known, *accounts[:3]) else None
        work.await_(lambda account=account, name=name: _copied(work, account, name), f"Finance's copy of {account}")
    _in_order(kafka, [known, *accounts[:3]])
    _mirrored(kafka)
    # The keeper waits for Finance's cluster before it restarts the connectors that failed with it.
    work.await_(lambda: kafka.run("connectors", "status", check=False).returncode == 0, "every connector to run again")


def _finance_alone_lags(kafka: Stack, events: int) -> bool:
    """Not, while nobody says how many events wait."""
    waiting = {row["consumer"]: row["pending"] for row in kafka.status()["deliveries"]}
    return waiting.get("finance", 0) >= events and waiting.get("orders") == 0


def _copied(work: Work, account: str, name: str | None) -> bool:
    if work.status(f"{PROFILES}/{account}") != 200:
        return False
    return name is None or work.read(f"{PROFILES}/{account}")["name"] == name


def _in_order(kafka: Stack, accounts: list[str]) -> None:
    """Every event once, and none after a newer one, as the history of Finance's copies has it."""
    with psycopg.connect(kafka.config.service_url("contacts", role="postgres")) as contacts:
        sent = contacts.execute(
            "select aggregate_id::text, array_agg(aggregate_version order by aggregate_version) from contacts.outbox"
            " where aggregate_id = any(%s::uuid[]) group by 1",
            [accounts],
        ).fetchall()
        events = [row[0] for row in contacts.execute("select id from contacts.outbox where type like 'ACCOUNT%'")]
    with psycopg.connect(kafka.config.service_url("finance", role="postgres")) as finance:
        applied = [
            row[0] for row in finance.execute("select event_id from finance.inbox where event_id = any(%s)", [events])
        ]
    assert sorted(applied) == sorted(events)
    copies = (
        "select key, array_agg(version order by committed_at, lsn, seq) from ("
        " select after ->> 'account_uuid' as key, (after ->> 'replica_version')::bigint as version,"
        " committed_at, lsn, seq"
        " from log.change_log where schema_name = 'finance' and table_name = 'account_profile' and op in ('c', 'u')) c"
        " where key = any(%s) group by 1"
    )
    last = {key: versions[-1] for key, versions in sent}

    def landed() -> bool:
        return {key: versions[-1] for key, versions in warehouse(kafka, copies, accounts)} == last

    eventually(landed, WAIT, "the last version of each copy in the warehouse")
    # Of several events of one account in a batch a replica takes the newest at once.
    for _, versions in warehouse(kafka, copies, accounts):
        assert versions == sorted(set(versions)), "no older version after a newer one, none twice"


def _mirrored(kafka: Stack) -> None:
    """The mirror of Finance's copies is what Finance has."""
    query = "select account_uuid::text, name, version, replica_version from {} order by 1"

    def same() -> bool:
        with psycopg.connect(kafka.config.service_url("finance", role="postgres")) as finance:
            there = finance.execute(query.format("finance.account_profile").encode()).fetchall()
        mirror = query.format("raw_finance.account_profile where not _deleted")
        return there == warehouse(kafka, mirror)

    eventually(same, WAIT, "the mirror to be as Finance")
