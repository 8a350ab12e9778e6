"""One account with everything around it: live to the last batch, with who did it, for whom it concerns."""

from __future__ import annotations

import threading
import time
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client

from bi.schema import Account360
from tests.marts import ACME, ACME_EAST, GLOBEX, NORTH, PERSON, SOUTH, Marts, order
from tests.mirror import Connection, Stream, delete, put
from tests.readers import Person, person
from warehouse import asking


def document(who: Person, account: object = ACME) -> dict[str, Any]:
    answer = who.get(account)
    assert answer.status_code == 200, answer.content
    Account360.model_validate_json(answer.content)
    return answer.json()


def test_alice_sees_the_account_and_everything_around_it(alice: Person) -> None:
    found = document(alice)
    assert found["account"]["name"] == "Acme"
    assert [child["name"] for child in found["hierarchy"]["children"]] == ["Acme East"]
    assert [(c["contact_id"], c["last_name"]) for c in found["contacts"]] == [(str(PERSON), "Lee")]
    assert Decimal(found["finance"]["balance_due"]) == 250
    assert [o["order_number"] for o in found["orders"]] == ["SO-000001"]
    assert Decimal(found["totals"]["lifetime_line_net"]) == 300
    assert found["watermark"].keys() == {"headwater"}


def test_bob_is_refused_and_charlie_does_not_learn_that_it_exists(bob: Person, charlie: Person) -> None:
    assert bob.get(ACME).status_code == 403
    hidden, absent = charlie.get(ACME), charlie.get(uuid4())
    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert hidden["Content-Type"] == "application/problem+json"
    assert {k: v for k, v in hidden.json().items() if k not in ("detail", "instance")} == {
        k: v for k, v in absent.json().items() if k not in ("detail", "instance")
    }
    assert document(charlie, GLOBEX)["account"]["name"] == "Globex"


def test_a_write_is_there_with_the_batch_that_brought_it(alice: Person, stream: Stream) -> None:
    stream.commit(
        put("contacts.account", account_uuid=ACME, industry="Rockets"),
        order(uuid4(), ACME, number="SO-000002", sub_total=Decimal(10), tax_amount=Decimal(1), territory_id=NORTH),
        put("finance.account_profile", account_uuid=ACME, on_credit_hold=True, hold_reason="late"),
    )
    found = document(alice)
    assert found["account"]["industry"] == "Rockets"
    assert {o["order_number"]: Decimal(o["total_due"]) for o in found["orders"]}["SO-000002"] == 11
    assert found["finance"]["hold_reason"] == "late"


def test_the_timeline_tells_who_what_and_why(alice: Person, stream: Stream) -> None:
    stream.commit(
        put("contacts.account", account_uuid=ACME, name="Acme plc", version=2),
        actor="Alice",
        command="contacts.update_account",
        reason="merger",
    )
    stream.commit(put("finance.account_profile", account_uuid=ACME, credit_limit=Decimal(500), replica_version=9))
    newest, before, *_ = document(alice)["timeline"]
    assert newest["object"] == "finance.account_profile"
    assert newest["actor_name"] is None
    assert newest["fields"].keys() == {"credit_limit"}
    assert before["object"] == "contacts.account"
    assert (before["actor_name"], before["command"], before["reason"]) == ("Alice", "contacts.update_account", "merger")
    assert before["fields"] == {"name": {"before": "Acme", "after": "Acme plc"}}


def test_a_change_belongs_to_the_message_before_it(alice: Person, stream: Stream, owner: Connection) -> None:
    """Two commands in one transaction: each change has its own author."""
    stream.commit(
        put("contacts.account", account_uuid=ACME, industry="A"),
        put("contacts.account", account_uuid=ACME, industry="B"),
        actor="Alice",
        command="first",
    )
    owner.execute(
        "insert into log.transactions (source, epoch, xid, seq, lsn, committed_at, actor_name, command, content)"
        # Written between the two changes, whose LSNs are the message's plus 1 and plus 2.
        " select source, epoch, xid, 1, lsn + 2, committed_at, 'Bot', 'second', '{}' from log.transactions"
    )
    second, first, *_ = document(alice)["timeline"]
    assert (first["command"], first["fields"]["industry"]["after"]) == ("first", "A")
    assert (second["command"], second["fields"]["industry"]["after"]) == ("second", "B")


def test_a_deleted_account_is_gone(alice: Person, stream: Stream) -> None:
    stream.commit(delete("contacts.account", account_uuid=ACME))
    assert alice.get(ACME).status_code == 404


def test_an_account_that_moves_away_is_gone_for_its_old_readers(alice: Person, charlie: Person, stream: Stream) -> None:
    stream.commit(put("contacts.account", account_uuid=ACME, territory_id=SOUTH))
    assert alice.get(ACME).status_code == 404
    found = document(charlie)
    assert found["account"]["name"] == "Acme"
    assert found["contacts"] == [], "the people are still of the north"
    assert found["hierarchy"]["children"] == [], "so is the child"


def test_sections_open_by_role(key: Ed25519PrivateKey, alice: Person) -> None:
    marketer = document(person(key, 4, "marketer", territory=NORTH))
    assert marketer["finance"] is None
    assert marketer["totals"] is None, "they hold what finance knows"
    assert marketer["orders"] != []
    assert {change["object"] for change in marketer["timeline"]} == {"contacts.account"}
    assert {change["object"] for change in document(alice)["timeline"]} == {
        "contacts.account",
        "finance.account_profile",
    }


def test_ancestors_end_below_what_the_reader_may_not_see(alice: Person, key: Ed25519PrivateKey, stream: Stream) -> None:
    stream.commit(put("contacts.account", account_uuid=ACME, parent_id=GLOBEX))
    assert [a["name"] for a in document(alice, ACME_EAST)["hierarchy"]["ancestors"]] == ["Acme"]
    auditor = person(key, 5, "auditor")
    assert [a["name"] for a in document(auditor, ACME_EAST)["hierarchy"]["ancestors"]] == ["Globex", "Acme"]


def test_a_person_linked_by_role_is_listed_once(alice: Person, stream: Stream) -> None:
    for role in ("Buyer", "Payer"):
        stream.commit(put("contacts.account_contact", id=uuid4(), account_uuid=ACME, contact_id=PERSON, role=role))
    assert [c["roles"] for c in document(alice)["contacts"]] == [["Buyer", "Payer"]]


@pytest.mark.parametrize("account", ["nonsense", "00000000", "%00", "null"])
def test_what_is_no_id_is_absent(alice: Person, account: str) -> None:
    assert alice.get(account).status_code == 404


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer x.y.z", "Basic abc"])
def test_without_a_good_token_nobody_gets_in(authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = Client().get(f"/api/360/accounts/{ACME}", headers=headers)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["type"] == "urn:headwater:problem:unauthenticated"


def test_a_forged_or_expired_token_is_refused(alice: Person) -> None:
    forged = Person(alice.principal, Ed25519PrivateKey.generate()).token()
    assert alice.get(ACME, token=forged).status_code == 401
    assert alice.get(ACME, token=alice.token(issued=time.time() - 3600)).status_code == 401


def test_a_token_from_before_its_persons_rights_changed_is_refused(alice: Person, stream: Stream) -> None:
    changed = int(time.time())
    stream.commit(put("identity.user_account", id=alice.principal.user_id, username="alice", tokens_valid_from=changed))
    assert alice.get(ACME, token=alice.token(issued=changed - 1)).status_code == 401
    assert alice.get(ACME, token=alice.token(issued=changed)).status_code == 200


def test_only_reading_is_possible(alice: Person) -> None:
    headers = {"Authorization": f"Bearer {alice.token()}"}
    answer = Client().post(f"/api/360/accounts/{ACME}", headers=headers)
    assert answer.status_code == 405
    assert answer["Content-Type"] == "application/problem+json"


def test_a_lost_connection_is_replaced_and_an_outage_is_said(alice: Person, marts: Marts, settings_dsn) -> None:
    assert alice.get(ACME).status_code == 200
    with marts.superuser() as superuser:
        superuser.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'wh_api'")
    assert alice.get(ACME).status_code == 200
    settings_dsn("postgresql://wh_api@127.0.0.1:1/nothing")
    answer = alice.get(ACME)
    assert answer.status_code == 503
    assert answer["Retry-After"] == "1"


def test_claims_end_with_their_request(alice: Person, charlie: Person) -> None:
    """One connection serves both; neither inherits the other's rows."""
    assert alice.get(ACME).status_code == 200
    assert charlie.get(ACME).status_code == 404
    row = asking._local.connection.execute("select current_setting('headwater.claims', true)").fetchone()
    assert row[0] in (None, "")


def test_every_answer_is_of_one_moment(alice: Person, stream: Stream) -> None:
    """Account and finance change together in each batch; no answer shows one without the other."""
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            stream.commit(
                put("contacts.account", account_uuid=ACME, industry=str(n)),
                put("finance.account_profile", account_uuid=ACME, hold_reason=str(n)),
            )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        answers = [document(alice) for _ in range(50)]
    finally:
        stop.set()
        writer.join()
    seen = {(a["account"]["industry"], a["finance"]["hold_reason"]) for a in answers if a["finance"]["hold_reason"]}
    assert len(seen) > 1
    assert all(industry == reason for industry, reason in seen)
