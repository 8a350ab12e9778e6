"""Analysts read the marts with SQL: what is out of their scope is absent, whatever they SET."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

from policy.roles import ROLES
from tests.marts import ACME, ACME_EAST, BIKE, GLOBEX, NORTH, PERSON, SOUTH, Marts
from tests.mirror import Connection, Stream, delete, put
from tests.passwords import PASSWORD
from warehouse.analysts import AnalystError, create, remove

TEAM, TEAM_BELOW = UUID(int=7 << 64 | 1), UUID(int=7 << 64 | 2)


class Analyst:
    """A person in identity's mirror with a database login."""

    def __init__(
        self, marts: Marts, login: str, *roles: str, territories: list[UUID], team: UUID | None = None
    ) -> None:
        self._marts = marts
        self.login = login
        self.user_id = uuid4()
        self.assignments = [uuid4() for _ in roles]
        with marts.connect() as owner:
            self.stream = Stream(owner)
            self.stream.commit(
                put(
                    "identity.user_account",
                    id=self.user_id,
                    username=login,
                    is_active=True,
                    territory_ids=territories,
                    team_id=team,
                ),
                *(
                    put("identity.role_assignment", id=id, user_id=self.user_id, role=role)
                    for id, role in zip(self.assignments, roles, strict=True)
                ),
            )
        with marts.superuser() as superuser:
            create(superuser, login, PASSWORD, self.user_id)

    def commit(self, *changes) -> None:
        with self._marts.connect() as owner:
            Stream(owner).commit(*changes)

    def connect(self) -> Connection:
        return self._marts.connect(self.login)

    def accounts(self) -> set[UUID]:
        with self.connect() as connection:
            return seen(connection)


def seen(connection: Connection, table: str = "marts.dim_account", column: str = "account_uuid") -> set[UUID]:
    return {row[0] for row in connection.execute(f"select {column} from {table}".encode())}


@pytest.fixture
def alice(marts: Marts) -> Iterator[Analyst]:
    """Reads the north."""
    yield Analyst(marts, "alice", "analyst", territories=[NORTH])
    _drop(marts, "alice")


@pytest.fixture
def bob(marts: Marts) -> Iterator[Analyst]:
    """Of the north, without a role."""
    yield Analyst(marts, "bob", territories=[NORTH])
    _drop(marts, "bob")


@pytest.fixture
def charlie(marts: Marts) -> Iterator[Analyst]:
    """Reads the south."""
    yield Analyst(marts, "charlie", "analyst", territories=[SOUTH])
    _drop(marts, "charlie")


def _drop(marts: Marts, login: str) -> None:
    with marts.superuser() as superuser:
        remove(superuser, login)


def test_each_sees_the_rows_of_their_territory(alice: Analyst, bob: Analyst, charlie: Analyst) -> None:
    assert alice.accounts() == {ACME, ACME_EAST}
    assert bob.accounts() == set()
    assert charlie.accounts() == {GLOBEX}


def test_every_mart_keeps_to_the_scope(alice: Analyst, charlie: Analyst) -> None:
    with alice.connect() as mine, charlie.connect() as theirs:
        for table in ("marts.fct_sales_order", "marts.fct_sales_order_line", "marts.agg_sales_daily"):
            assert mine.execute(f"select count(*) from {table}".encode()).fetchone() == (1,), table
            assert theirs.execute(f"select count(*) from {table}".encode()).fetchone() == (0,), table
        assert seen(mine, "reporting.c360_account") == {ACME, ACME_EAST}
        assert seen(theirs, "reporting.c360_account") == {GLOBEX}
        assert seen(mine, "marts.dim_contact", "contact_id") == {PERSON}
        assert seen(theirs, "marts.dim_contact", "contact_id") == set()


def test_what_is_for_every_reader_and_what_is_public(alice: Analyst, bob: Analyst) -> None:
    with alice.connect() as mine, bob.connect() as theirs:
        assert seen(mine, "marts.dim_product", "product_id") == {BIKE}
        assert seen(theirs, "marts.dim_product", "product_id") == set()
        assert len(seen(theirs, "marts.dim_date", "date_day")) == 11322


@pytest.mark.parametrize(
    "attempt",
    [
        """set headwater.claims = '{"sub": "00000000-0000-0000-0000-000000000001", "roles": ["admin"]}'""",
        "set role wh_analyst",
        "set row_security = off",
        "set session_replication_role = replica",
        "set session authorization wh_owner",
        "set role wh_owner",
        "set role wh_api",
        "set search_path = marts, ops",
        "alter table marts.dim_account disable row level security",
        "alter role charlie bypassrls",
        "update ops.principal set user_id = gen_random_uuid()",
        "create function pg_temp.reader_has_role(text[]) returns boolean language sql as 'select true'",
    ],
)
def test_nothing_that_charlie_sets_shows_him_more(attempt: str, charlie: Analyst) -> None:
    with charlie.connect() as connection:
        try:
            connection.execute(attempt.encode())
        except psycopg.Error:
            refused = True
        else:
            refused = False
        try:
            assert seen(connection) <= {GLOBEX}
        except psycopg.errors.InsufficientPrivilege:
            refused = True
        assert refused or attempt.startswith(
            ("set headwater", "set role wh_analyst", "set row", "set search", "create")
        )


def test_a_condition_of_ones_own_sees_no_other_rows(charlie: Analyst) -> None:
    """A cheap leaking function in the condition runs after row security, not before."""
    with charlie.connect() as connection:
        connection.execute(
            "create function pg_temp.tell(name text) returns boolean cost 0.0001 language plpgsql as"
            " $$ begin raise notice 'saw %', name; return true; end $$"
        )
        told: list[str] = []
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
        connection.execute("select count(*) from marts.dim_account where pg_temp.tell(account_name)")
    assert told == ["saw Globex"]


@pytest.mark.parametrize(
    "table", ["raw_contacts.account", "staging.stg_contacts__account", "log.change_log", "ops.principal"]
)
def test_mirror_staging_and_log_are_closed_to_analysts(table: str, alice: Analyst) -> None:
    with alice.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"select * from {table}".encode())


@pytest.mark.parametrize(
    "question",
    [
        "select ops.rights_of('{charlie}')",
        "select ops.tokens_valid_from('{charlie}')",
        "select * from ops.changes_of(array['{{}}'::jsonb])",
        "select * from ops.rows_seen(array['{{}}'::jsonb])",
    ],
)
def test_an_analyst_cannot_ask_the_owners_functions(question: str, alice: Analyst, charlie: Analyst) -> None:
    """They answer for anybody, or with more than the marts hold; only the read API asks them."""
    with alice.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(question.format(charlie=charlie.user_id).encode())


def test_rights_that_identity_takes_away_are_gone_at_once(alice: Analyst) -> None:
    with alice.connect() as connection:
        assert seen(connection) == {ACME, ACME_EAST}
        alice.commit(delete("identity.role_assignment", id=alice.assignments[0]))
        assert seen(connection) == set()
        alice.commit(put("identity.role_assignment", id=alice.assignments[0], user_id=alice.user_id, role="auditor"))
        assert seen(connection) == {ACME, ACME_EAST, GLOBEX}
        alice.commit(put("identity.user_account", id=alice.user_id, is_active=False))
        assert seen(connection) == set()


def test_a_groups_roles_are_its_members_roles(bob: Analyst) -> None:
    group = uuid4()
    bob.commit(
        put("identity.user_group", id=group, name="Readers", roles=["analyst"]),
        put("identity.group_membership", id=uuid4(), user_id=bob.user_id, group_id=group),
    )
    assert bob.accounts() == {ACME, ACME_EAST}


def test_a_manager_sees_the_teams_below(marts: Marts) -> None:
    manager = Analyst(marts, "dora", "sales_manager", territories=[], team=TEAM)
    try:
        manager.commit(
            put("identity.team", id=TEAM, name="Sales"),
            put("identity.team", id=TEAM_BELOW, name="East", parent_id=TEAM),
        )
        with marts.connect() as owner:
            owner.execute("update marts.dim_account set team_id = %s where account_uuid = %s", [TEAM_BELOW, GLOBEX])
        assert manager.accounts() == {GLOBEX}
    finally:
        _drop(marts, "dora")


@pytest.mark.parametrize("role", sorted(ROLES))
def test_the_warehouse_and_the_policy_agree_on_every_role(role: str, marts: Marts) -> None:
    from policy.decide import scopes
    from policy.roles import Scope

    reader = Analyst(marts, "erin", role, territories=[NORTH])
    try:
        reached = scopes(frozenset({role}), "contacts.account.read", "contacts.account")
        everything, north = {ACME, ACME_EAST, GLOBEX}, {ACME, ACME_EAST}
        expected = everything if Scope.ALL in reached else north if Scope.TERRITORY in reached else set()
        assert reader.accounts() == expected
    finally:
        _drop(marts, "erin")


def test_the_read_api_shows_nothing_without_claims(marts: Marts) -> None:
    with marts.connect("wh_api") as api:
        assert seen(api) == set()
        assert seen(api, "raw_contacts.account") == set()
        assert seen(api, "raw_identity.user_account", "id") == set()


def test_a_name_that_belongs_to_something_else_is_refused(marts: Marts) -> None:
    with marts.superuser() as superuser:
        with pytest.raises(AnalystError, match="wh_owner"):
            create(superuser, "wh_owner", "mine", uuid4())
        with pytest.raises(AnalystError, match="wh_owner"):
            remove(superuser, "wh_owner")
        with pytest.raises(AnalystError, match="postgres"):
            create(superuser, "postgres", "mine", uuid4())
