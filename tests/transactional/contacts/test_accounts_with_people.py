"""Accounts in bulk that come with their main person: one event, and for whoever may do each of it alone."""

from __future__ import annotations

from tests.cast import the_cast
from tests.world import World

BULK = "/api/contacts/accounts/bulk"


def row(name: str, **person: object) -> dict[str, object]:
    return {"data": {"name": name, "person": {"last_name": "Lovelace", **person}}}


def test_the_person_is_at_home_in_the_account_and_its_primary_contact(world: World) -> None:
    alice = the_cast("sales_rep").alice
    before = len(world.outbox("contacts"))
    key = {"source": "elsewhere", "key": "P-1"}
    answer = alice.post(BULK, {"rows": [row("Engines", first_name="Ada", role="Founder", key=key)]}).json()
    account = alice.get(f"/api/contacts/accounts/{answer['verdicts'][0]['id']}").json()
    contact = alice.get(f"/api/contacts/contacts/{account['primary_contact']['id']}").json()
    assert (contact["first_name"], contact["account_uuid"]) == ("Ada", account["account_uuid"])
    assert (contact["owner_id"], contact["territory_id"]) == (account["owner_id"], account["territory_id"])
    assert account["version"] == 1
    assert [event["type"] for event in world.outbox("contacts")[before:]] == ["ACCOUNT_CREATED"]
    (link,) = world.rows("select role from contacts.account_contact where contact_id = %s", [contact["id"]])
    assert link["role"] == "Founder"
    (known,) = world.rows("select resource from contacts.external_reference where resource_id = %s", [contact["id"]])
    assert known["resource"] == "contacts.contact"


def test_alice_may_and_bob_who_may_not_link_and_charlie_elsewhere_may_not(world: World) -> None:
    cast = the_cast("sales_rep", bobs_role="support_agent")
    assert cast.bob.post(BULK, {"rows": [row("Of Bob")]}).status_code == 403
    ours = {"team_id": str(cast.alice.team_id), "territory_id": str(cast.alice.territory_id), "owner_id": None}
    foreign = {"data": row("Of Charlie")["data"] | ours}  # type: ignore[operator]
    (verdict,) = cast.charlie.post(BULK, {"rows": [foreign]}).json()["verdicts"]
    assert verdict["status"] == "rejected"
    assert cast.alice.post(BULK, {"rows": [foreign]}).json()["created"] == 1
    assert world.rows("select count(*) as n from contacts.account where name in ('Of Bob', 'Of Charlie')") == [{"n": 1}]


def test_a_person_who_cannot_be_refuses_the_row_alone(world: World) -> None:
    alice = the_cast("sales_rep").alice
    rows = [row("Bad mail", email="none"), row("Bad name", last_name=""), row("Good")]
    key = {"source": "elsewhere", "key": "P-2"}
    rows += [row("First of two", key=key), row("Second of two", key=key)]
    answer = alice.post(BULK, {"rows": rows}).json()
    assert [verdict["status"] for verdict in answer["verdicts"]] == [
        "rejected",
        "rejected",
        "created",
        "created",
        "rejected",
    ]
    assert answer["verdicts"][0]["errors"][0]["field"] == "rows.0.data.person.email"
