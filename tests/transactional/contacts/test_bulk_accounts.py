"""Accounts and contacts as imports bring them: a verdict for each row, twice the same, and events for every account."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.cast import the_cast

ACCOUNTS, CONTACTS = "/api/contacts/accounts", "/api/contacts/contacts"


@pytest.fixture
def cast(world):
    return the_cast("sales_rep", bobs_role="support_agent")


def row(key, **data):
    return {"key": {"source": "crm", "key": key}, "data": data}


def send(person, path, *rows, **options):
    return person.post(f"{path}/bulk", {"rows": rows}, **options)


def verdicts(answer):
    return [(v["status"], [e["field"] for e in v["errors"]]) for v in answer.json()["verdicts"]]


class TestAccounts:
    def test_children_name_their_parents_by_key_or_id(self, world, cast):
        prefix = str(uuid4())
        parent = cast.alice.post(ACCOUNTS, {"name": "Known"}).json()["account_uuid"]
        answer = send(
            cast.alice,
            ACCOUNTS,
            row(f"{prefix}/1", name="Store"),
            row(f"{prefix}/2", name="Buyer", parent_key={"source": "crm", "key": f"{prefix}/1"}),
            row(f"{prefix}/3", name="Branch", parent_id=parent),
        )
        assert answer.status_code == 200
        store, buyer, branch = (v["id"] for v in answer.json()["verdicts"])
        assert cast.alice.get(f"{ACCOUNTS}/{buyer}").json()["parent_id"] == store
        assert cast.alice.get(f"{ACCOUNTS}/{branch}").json()["parent_id"] == parent
        later = send(
            cast.alice, ACCOUNTS, row(f"{prefix}/4", name="Late", parent_key={"source": "crm", "key": f"{prefix}/1"})
        )
        late = later.json()["verdicts"][0]["id"]
        assert cast.alice.get(f"{ACCOUNTS}/{late}").json()["parent_id"] == store
        created = [e["payload"]["name"] for e in world.outbox("contacts", "ACCOUNT_CREATED")]
        assert {"Store", "Buyer", "Branch", "Late"} <= set(created)

    def test_running_it_twice_changes_nothing(self, world, cast):
        rows = [row(f"{uuid4()}", name=f"Account {n}") for n in range(30)]
        first = send(cast.alice, ACCOUNTS, *rows).json()
        events = len(world.outbox("contacts"))
        second = send(cast.alice, ACCOUNTS, *rows).json()
        assert (first["created"], second["created"], second["exists"]) == (30, 0, 30)
        assert [v["id"] for v in first["verdicts"]] == [v["id"] for v in second["verdicts"]]
        assert len(world.outbox("contacts")) == events

    def test_a_bad_row_stops_no_other(self, cast):
        answer = send(
            cast.alice,
            ACCOUNTS,
            row("good", name="Good", account_type="Customer"),
            row("bad", name="Bad", account_type="Friend"),
            row("orphan", name="Orphan", parent_id=str(uuid4())),
            row("lost", name="Lost", parent_key={"source": "crm", "key": "nowhere"}),
            row("early", name="Early", primary_contact={"kind": "contact", "id": str(uuid4())}),
            {"data": {"name": "No key"}},
        )
        assert verdicts(answer) == [
            ("created", []),
            ("rejected", ["rows.1.data.account_type"]),
            ("rejected", ["rows.2.data.parent_id"]),
            ("rejected", ["rows.3.data.parent_key"]),
            ("rejected", ["rows.4.data.primary_contact"]),
            ("created", []),
        ]

    def test_bob_may_not_and_charlie_cannot_attach_to_alices_account(self, cast):
        parent = cast.alice.post(ACCOUNTS, {"name": "Alice's"}).json()["account_uuid"]
        assert send(cast.bob, ACCOUNTS, row("x", name="X")).status_code == 403
        answer = send(cast.charlie, ACCOUNTS, row("y", name="Y", parent_id=parent))
        assert verdicts(answer) == [("rejected", ["rows.0.data.parent_id"])]


class TestContacts:
    def test_memberships_link_and_name_the_primary_contact(self, world, cast):
        home, store = (cast.alice.post(ACCOUNTS, {"name": n}).json()["account_uuid"] for n in ("Home", "Store"))
        answer = send(
            cast.alice,
            CONTACTS,
            row(
                "person/1",
                last_name="Noor",
                account_uuid=home,
                memberships=[
                    {"account_uuid": home, "role": "Owner", "primary": True},
                    {"account_uuid": store, "role": "Buyer"},
                ],
            ),
            row("person/2", last_name="Okafor", memberships=[{"account_uuid": store, "role": "CEO", "primary": True}]),
        )
        noor, okafor = (v["id"] for v in answer.json()["verdicts"])
        first, second = (cast.alice.get(f"{ACCOUNTS}/{account}").json() for account in (home, store))
        assert first["primary_contact"] == {"kind": "contact", "id": noor}
        assert second["primary_contact"] == {"kind": "contact", "id": okafor}
        assert (first["version"], second["version"]) == (2, 2)
        told = {e["payload"]["account_uuid"]: e for e in world.outbox("contacts", "ACCOUNT_UPDATED")}
        assert told[home]["payload"]["primary_contact_id"] == noor
        assert told[home]["aggregate_version"] == 2

    def test_a_bad_row_stops_no_other(self, cast):
        account = cast.alice.post(ACCOUNTS, {"name": "Acme"}).json()["account_uuid"]
        twice = {"account_uuid": account, "role": "Buyer"}
        answer = send(
            cast.alice,
            CONTACTS,
            row("p/1", last_name="Good"),
            row("p/2", first_name="Nameless"),
            row("p/3", last_name="Lost", account_uuid=str(uuid4())),
            row("p/4", last_name="Stray", memberships=[{"account_uuid": str(uuid4()), "role": "Buyer"}]),
            row("p/5", last_name="Twice", memberships=[twice, twice]),
        )
        assert verdicts(answer) == [
            ("created", []),
            ("rejected", ["rows.1.data.last_name"]),
            ("rejected", ["rows.2.data.account_uuid"]),
            ("rejected", ["rows.3.data.memberships.0.account_uuid"]),
            ("rejected", ["rows.4.data.memberships"]),
        ]

    def test_bob_the_supporter_links_nobody_and_charlie_cannot_reach_alices_account(self, cast):
        account = cast.alice.post(ACCOUNTS, {"name": "Acme"}).json()["account_uuid"]
        part = {"account_uuid": account, "role": "Buyer"}
        answer = send(
            cast.bob,
            CONTACTS,
            row("b/1", last_name="B", account_uuid=account),
            row("b/2", last_name="B", memberships=[part]),
        )
        assert verdicts(answer) == [("created", []), ("rejected", ["rows.1.data.memberships.0.account_uuid"])]
        answer = send(cast.charlie, CONTACTS, row("c", last_name="C", memberships=[part]))
        assert verdicts(answer) == [("rejected", ["rows.0.data.memberships.0.account_uuid"])]
